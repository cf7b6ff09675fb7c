# AT: WRN-40-2 teaches ShuffleNetV1.
_base_ = [
    '../_base_/pairs/wrn_40_2_shufflenet_v1.py',
    '../_base_/methods/at.py',
]
model = dict(losses=dict(at=_base_.loss))
