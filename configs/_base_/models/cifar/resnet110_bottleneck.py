# ResNet-110 of MCL, L-MCL, MCL-OKD, OKDDip and PCL: bottlenecks 12-12-12.
_base_ = 'resnet20.py'
model = dict(
    backbone=dict(depth=110, block='bottleneck'),
    head=dict(in_channels=256),
)
