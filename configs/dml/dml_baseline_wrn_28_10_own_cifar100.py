# WRN-28-10 alone, recipe of DML's paper.
_base_ = [
    '../_base_/datasets/cifar100.py',
    '../_base_/models/cifar/wrn_28_10.py',
    '../_base_/schedules/cifar_dml_200.py',
    '../_base_/cls_runtime.py',
]
train_dataloader = dict(batch_size=64)
