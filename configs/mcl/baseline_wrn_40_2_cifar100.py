# WRN-40-2 alone, with the sampler of MCL.
_base_ = [
    '../_base_/datasets/cifar100_class_aware.py',
    '../_base_/models/cifar/wrn_40_2.py',
    '../_base_/schedules/cifar_cosine_300.py',
    '../_base_/cls_runtime.py',
]
