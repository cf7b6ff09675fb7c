# MobileNetV2, half width alone, recipe of DML's paper.
_base_ = [
    '../_base_/datasets/cifar100.py',
    '../_base_/models/cifar/mobilenet_v2_half_stride1.py',
    '../_base_/schedules/cifar_dml_200.py',
    '../_base_/cls_runtime.py',
]
train_dataloader = dict(batch_size=64)
