# WRN-28-4: pre-activation blocks 4-4-4, widths 64-128-256.
_base_ = 'wrn_16_2.py'
model = dict(
    backbone=dict(depth=28, widen_factor=4), head=dict(in_channels=256)
)
