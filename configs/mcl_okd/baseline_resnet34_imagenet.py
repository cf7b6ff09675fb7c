# ResNet-34 alone; batch and lr as the networks alone have them on CIFAR-100.
_base_ = [
    '../_base_/datasets/imagenet_memory.py',
    '../_base_/models/imagenet_resnet34.py',
    '../_base_/schedules/imagenet_cosine_100.py',
    '../_base_/cls_runtime.py',
]
train_dataloader = dict(batch_size=128)
