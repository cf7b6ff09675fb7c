# ResNet-8: basic blocks 1-1-1.
_base_ = 'resnet20.py'
model = dict(backbone=dict(depth=8))
