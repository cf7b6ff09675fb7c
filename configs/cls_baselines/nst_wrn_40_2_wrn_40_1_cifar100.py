# NST: WRN-40-2 teaches WRN-40-1.
_base_ = [
    '../_base_/pairs/wrn_40_2_wrn_40_1.py',
    '../_base_/methods/nst.py',
]
model = dict(losses=dict(nst=_base_.loss))
