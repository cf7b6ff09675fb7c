# ResNet-110 of CRD, FFL and OEM: basic blocks 18-18-18.
_base_ = 'resnet20.py'
model = dict(backbone=dict(depth=110))
