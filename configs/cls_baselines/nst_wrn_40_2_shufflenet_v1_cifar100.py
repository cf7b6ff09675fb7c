# NST: WRN-40-2 teaches ShuffleNetV1.
_base_ = [
    '../_base_/pairs/wrn_40_2_shufflenet_v1.py',
    '../_base_/methods/nst.py',
]
model = dict(losses=dict(nst=_base_.loss))
