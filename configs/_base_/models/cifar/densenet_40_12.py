# DenseNet-40-12: bottlenecks 6-6-6, growth rate 12, compression 0.5.
_base_ = 'resnet20.py'
model = dict(
    backbone=dict(
        _delete_=True, type='mmkd.CIFARDenseNet', depth=40, growth_rate=12
    ),
    head=dict(in_channels=132),
)
