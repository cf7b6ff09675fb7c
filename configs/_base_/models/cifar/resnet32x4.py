# resnet32x4: basic blocks 5-5-5, widths 64-128-256, stem 32.
_base_ = 'resnet8x4.py'
model = dict(backbone=dict(depth=32))
