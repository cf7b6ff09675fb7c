# ResNet-14: basic blocks 2-2-2.
_base_ = 'resnet20.py'
model = dict(backbone=dict(depth=14))
