# ResNet-32x4 alone.
_base_ = [
    '../_base_/cifar100_hsakd.py',
    '../_base_/models/cifar/resnet32x4.py',
]
