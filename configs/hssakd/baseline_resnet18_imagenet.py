# ResNet-18 alone.
_base_ = [
    '../_base_/imagenet_hsakd.py',
    'mmpretrain::_base_/models/resnet18.py',
]
model = dict(backbone=dict(zero_init_residual=False))
