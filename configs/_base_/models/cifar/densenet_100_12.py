# DenseNet-BC-100-12: bottlenecks 16-16-16, growth rate 12, compression 0.5.
_base_ = 'densenet_40_12.py'
model = dict(backbone=dict(depth=100), head=dict(in_channels=342))
