# ResNet-34 of mmpretrain with torchvision's initial values.
_base_ = 'mmpretrain::_base_/models/resnet34.py'
model = dict(
    backbone=dict(zero_init_residual=False),
    head=dict(init_cfg=None),  # PyTorch's default
)
