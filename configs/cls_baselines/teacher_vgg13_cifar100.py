# VGG-13, the teacher.
_base_ = [
    '../_base_/cifar100_crd.py',
    '../_base_/models/cifar/vgg13.py',
]
