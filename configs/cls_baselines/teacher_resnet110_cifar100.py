# ResNet-110, the teacher.
_base_ = [
    '../_base_/cifar100_crd.py',
    '../_base_/models/cifar/resnet110_basic.py',
]
