# MobileNetV2 alone.
_base_ = [
    '../_base_/cifar100_crd.py',
    '../_base_/models/cifar/mobilenet_v2_half.py',
]
optim_wrapper = dict(optimizer=dict(lr=0.01))
