# VGG-16 with batch norm: convolutions 2-2-3-3-3.
_base_ = 'vgg8.py'
model = dict(backbone=dict(depth=16))
