# ResNet-32 alone.
_base_ = [
    '../_base_/cifar100_crd.py',
    '../_base_/models/cifar/resnet32.py',
]
