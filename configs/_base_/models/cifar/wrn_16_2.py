# WRN-16-2: pre-activation blocks 2-2-2, widths 32-64-128.
_base_ = 'resnet20.py'
model = dict(
    backbone=dict(
        _delete_=True, type='mmkd.CIFARWideResNet', depth=16, widen_factor=2
    ),
    head=dict(
        in_channels=128,
        # as published: PyTorch's default weight, bias 0
        init_cfg=dict(
            _delete_=True,
            type='Kaiming',
            layer='Linear',
            a=5**0.5,
            mode='fan_in',
            nonlinearity='leaky_relu',
            distribution='uniform',
            bias=0,
        ),
    ),
)
