# WRN-16-1: pre-activation blocks 2-2-2, widths 16-32-64.
_base_ = 'wrn_16_2.py'
model = dict(
    backbone=dict(depth=16, widen_factor=1), head=dict(in_channels=64)
)
