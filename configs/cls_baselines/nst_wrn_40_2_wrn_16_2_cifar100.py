# NST: WRN-40-2 teaches WRN-16-2.
_base_ = [
    '../_base_/pairs/wrn_40_2_wrn_16_2.py',
    '../_base_/methods/nst.py',
]
model = dict(losses=dict(nst=_base_.loss))
