# VGG-8 alone.
_base_ = [
    '../_base_/cifar100_crd.py',
    '../_base_/models/cifar/vgg8.py',
]
