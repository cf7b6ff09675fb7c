# VGG-19 with batch norm: convolutions 2-2-4-4-4.
_base_ = 'vgg8.py'
model = dict(backbone=dict(depth=19))
