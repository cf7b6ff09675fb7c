# DKD: WRN-40-2 teaches ShuffleNetV1.
_base_ = [
    '../_base_/pairs/wrn_40_2_shufflenet_v1.py',
    '../_base_/methods/dkd.py',
]
model = dict(losses=dict(dkd=dict(beta=8.0, **_base_.loss)))
