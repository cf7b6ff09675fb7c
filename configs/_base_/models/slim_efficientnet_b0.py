# EfficientNet-B0 of a width of its own.
_base_ = 'staged_resnet18.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmkd.SlimEfficientNet',
        arch='b0',
        width_factor=1.0,
    ),
    head=dict(in_channels=1280),
)
