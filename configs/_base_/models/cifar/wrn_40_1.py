# WRN-40-1: pre-activation blocks 6-6-6, widths 16-32-64.
_base_ = 'wrn_16_2.py'
model = dict(
    backbone=dict(depth=40, widen_factor=1), head=dict(in_channels=64)
)
