# WRN-28-10: pre-activation blocks 4-4-4, widths 160-320-640.
_base_ = 'wrn_16_2.py'
model = dict(
    backbone=dict(depth=28, widen_factor=10), head=dict(in_channels=640)
)
