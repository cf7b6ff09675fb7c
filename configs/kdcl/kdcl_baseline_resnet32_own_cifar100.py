# ResNet-32 alone, KDCL's recipe.
_base_ = [
    '../_base_/datasets/cifar100.py',
    '../_base_/models/cifar/resnet32.py',
    '../_base_/schedules/cifar_kdcl_240.py',
    '../_base_/cls_runtime.py',
]
train_dataloader = dict(batch_size=64)
