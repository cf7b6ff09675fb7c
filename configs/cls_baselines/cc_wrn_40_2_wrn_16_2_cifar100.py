# CC: WRN-40-2 teaches WRN-16-2.
_base_ = [
    '../_base_/pairs/wrn_40_2_wrn_16_2.py',
    '../_base_/methods/cc.py',
]
model = dict(losses=dict(cc=dict(**_base_.loss, **_base_.shapes.pooled)))
