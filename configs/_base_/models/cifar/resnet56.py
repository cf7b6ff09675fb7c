# ResNet-56: basic blocks 9-9-9.
_base_ = 'resnet20.py'
model = dict(backbone=dict(depth=56))
