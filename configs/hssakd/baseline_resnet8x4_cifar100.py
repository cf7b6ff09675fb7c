# ResNet-8x4 alone.
_base_ = [
    '../_base_/cifar100_hsakd.py',
    '../_base_/models/cifar/resnet8x4.py',
]
