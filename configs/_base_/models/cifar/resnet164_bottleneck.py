# What the code of ONE calls ResNet-110: bottlenecks 18-18-18.
_base_ = 'resnet20.py'
model = dict(
    backbone=dict(depth=164, block='bottleneck'),
    head=dict(in_channels=256),
)
