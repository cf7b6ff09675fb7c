# HCGNet-A1 alone, recipe of MCL-OKD's comparison.
_base_ = [
    '../_base_/datasets/cifar100.py',
    '../_base_/models/cifar/hcgnet_a1.py',
    '../_base_/schedules/cifar_cosine_300.py',
    '../_base_/cls_runtime.py',
]
