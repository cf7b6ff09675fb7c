# WRN-40-1 alone.
_base_ = [
    '../_base_/cifar100_hsakd.py',
    '../_base_/models/cifar/wrn_40_1.py',
]
