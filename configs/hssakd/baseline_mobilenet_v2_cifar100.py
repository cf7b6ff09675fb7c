# MobileNetV2 alone.
_base_ = [
    '../_base_/cifar100_hsakd.py',
    '../_base_/models/cifar/mobilenet_v2_half_stride1.py',
]
optim_wrapper = dict(optimizer=dict(lr=0.01))
