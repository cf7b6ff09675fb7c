# VID: WRN-40-2 teaches WRN-40-1.
_base_ = [
    '../_base_/pairs/wrn_40_2_wrn_40_1.py',
    '../_base_/methods/vid.py',
]
model = dict(losses=dict(vid=dict(**_base_.loss, **_base_.shapes.stages)))
