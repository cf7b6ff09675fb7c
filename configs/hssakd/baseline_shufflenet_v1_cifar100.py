# ShuffleNetV1 alone.
_base_ = [
    '../_base_/cifar100_hsakd.py',
    '../_base_/models/cifar/shufflenet_v1.py',
]
optim_wrapper = dict(optimizer=dict(lr=0.01))
