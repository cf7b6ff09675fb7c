# ShuffleNetV2 alone.
_base_ = [
    '../_base_/cifar100_hsakd.py',
    '../_base_/models/cifar/shufflenet_v2_1x_stem1x1.py',
]
optim_wrapper = dict(optimizer=dict(lr=0.01))
