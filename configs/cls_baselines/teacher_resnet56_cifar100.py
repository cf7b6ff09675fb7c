# ResNet-56, the teacher.
_base_ = [
    '../_base_/cifar100_crd.py',
    '../_base_/models/cifar/resnet56.py',
]
