# ResNet-32: basic blocks 5-5-5.
_base_ = 'resnet20.py'
model = dict(backbone=dict(depth=32))
