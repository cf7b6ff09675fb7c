# WRN-40-2, the teacher.
_base_ = [
    '../_base_/cifar100_crd.py',
    '../_base_/models/cifar/wrn_40_2.py',
]
