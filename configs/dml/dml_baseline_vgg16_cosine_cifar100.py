# VGG-16 (five poolings) alone, recipe of MCL-OKD's comparison.
_base_ = [
    '../_base_/datasets/cifar100.py',
    '../_base_/models/cifar/vgg16_5pools.py',
    '../_base_/schedules/cifar_cosine_300.py',
    '../_base_/cls_runtime.py',
]
