# WRN-40-2: pre-activation blocks 6-6-6, widths 32-64-128.
_base_ = 'wrn_16_2.py'
model = dict(
    backbone=dict(depth=40, widen_factor=2), head=dict(in_channels=128)
)
