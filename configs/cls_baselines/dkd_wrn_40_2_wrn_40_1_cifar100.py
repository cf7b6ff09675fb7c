# DKD: WRN-40-2 teaches WRN-40-1.
_base_ = [
    '../_base_/pairs/wrn_40_2_wrn_40_1.py',
    '../_base_/methods/dkd.py',
]
model = dict(losses=dict(dkd=dict(beta=6.0, **_base_.loss)))
