# ResNet-44: basic blocks 7-7-7.
_base_ = 'resnet20.py'
model = dict(backbone=dict(depth=44))
