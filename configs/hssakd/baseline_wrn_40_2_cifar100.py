# WRN-40-2 alone.
_base_ = [
    '../_base_/cifar100_hsakd.py',
    '../_base_/models/cifar/wrn_40_2.py',
]
