# DenseNet-BC-250-24: bottlenecks 41-41-41, growth rate 24, compression 0.5.
_base_ = 'densenet_40_12.py'
model = dict(
    backbone=dict(depth=250, growth_rate=24), head=dict(in_channels=1734)
)
