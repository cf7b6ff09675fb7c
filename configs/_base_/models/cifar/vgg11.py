# VGG-11 with batch norm: convolutions 1-1-2-2-2.
_base_ = 'vgg8.py'
model = dict(backbone=dict(depth=11))
