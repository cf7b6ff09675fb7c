# VGG-8 with batch norm: convolutions 1-1-1-1-1.
_base_ = 'resnet20.py'
model = dict(
    backbone=dict(_delete_=True, type='mmkd.CIFARVGG', depth=8),
    head=dict(
        in_channels=512,
        init_cfg=dict(_delete_=True, type='Normal', layer='Linear', std=0.01),
    ),
)
