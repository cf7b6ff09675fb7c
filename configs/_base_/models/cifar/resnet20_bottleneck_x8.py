# What PCL calls WRN-20-8: bottlenecks 2-2-2, 8 times as wide
# inside. No pre-activation network.
_base_ = 'resnet20.py'
model = dict(
    backbone=dict(depth=20, block='bottleneck', width_factor=8),
    head=dict(in_channels=256),
)
