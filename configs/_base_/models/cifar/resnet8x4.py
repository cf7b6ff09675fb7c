# resnet8x4: basic blocks 1-1-1, widths 64-128-256, stem 32.
_base_ = 'resnet20.py'
model = dict(
    backbone=dict(depth=8, stem_channels=32, base_channels=64),
    head=dict(in_channels=256),
)
