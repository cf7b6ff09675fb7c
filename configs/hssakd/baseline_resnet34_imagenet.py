# ResNet-34 alone.
_base_ = [
    '../_base_/imagenet_hsakd.py',
    'mmpretrain::_base_/models/resnet34.py',
]
model = dict(
    backbone=dict(zero_init_residual=False),
    head=dict(init_cfg=None),  # PyTorch's, as published
)
