# ResNet-34 alone, as the authors' program trains it.
_base_ = [
    '../_base_/datasets/imagenet_memory.py',
    '../_base_/models/imagenet_resnet34.py',
    '../_base_/schedules/imagenet_sgdr_300.py',
    '../_base_/cls_runtime.py',
]
