# HCGNet-A1: growth 12-24-36.
_base_ = 'resnet20.py'
model = dict(
    backbone=dict(_delete_=True, type='mmkd.HCGNet', arch='A1'),
    head=dict(in_channels=414),
)
