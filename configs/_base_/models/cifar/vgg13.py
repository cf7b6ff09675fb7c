# VGG-13 with batch norm: convolutions 2-2-2-2-2.
_base_ = 'vgg8.py'
model = dict(backbone=dict(depth=13))
