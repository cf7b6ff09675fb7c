# ResNet-34 alone.
_base_ = [
    '../_base_/imagenet_hsakd.py',
    'mmpretrain::_base_/models/resnet34.py',
]
model = dict(backbone=dict(zero_init_residual=False))
