# WRN-16-2 alone, recipe of FFL's code.
_base_ = [
    '../_base_/datasets/cifar100.py',
    '../_base_/models/cifar/wrn_16_2.py',
    '../_base_/schedules/cifar_ffl_300.py',
    '../_base_/cls_runtime.py',
]
data_preprocessor = dict(
    mean=[129.3, 124.1, 112.4],  # RGB
    std=[68.2, 65.4, 70.4],
    padding_mode='reflect',
)
