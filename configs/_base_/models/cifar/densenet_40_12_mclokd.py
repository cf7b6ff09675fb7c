# DenseNet-40-12 with the initial values of MCL-OKD: convolutions by their
# inputs, PyTorch's default for the classifier's weight, bias 0.
_base_ = 'densenet_40_12.py'
model = dict(
    backbone=dict(
        init_cfg=[
            dict(
                type='Kaiming',
                layer='Conv2d',
                mode='fan_in',
                nonlinearity='relu',
            ),
            dict(type='Constant', layer='BatchNorm2d', val=1.0, bias=0.0),
        ]
    ),
    head=dict(
        init_cfg=dict(
            _delete_=True,
            type='Kaiming',
            layer='Linear',
            a=5**0.5,
            mode='fan_in',
            nonlinearity='leaky_relu',
            distribution='uniform',
            bias=0,
        )
    ),
)
