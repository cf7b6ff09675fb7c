# ResNet-32x4, the teacher.
_base_ = [
    '../_base_/cifar100_crd.py',
    '../_base_/models/cifar/resnet32x4.py',
]
