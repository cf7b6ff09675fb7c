# WRN-16-2 alone.
_base_ = [
    '../_base_/cifar100_hsakd.py',
    '../_base_/models/cifar/wrn_16_2.py',
]
