# KD: WRN-40-2 teaches ShuffleNetV1.
_base_ = [
    '../_base_/pairs/wrn_40_2_shufflenet_v1.py',
    '../_base_/methods/kd.py',
]
model = dict(
    student=_base_.task_weight,
    losses=dict(kd=_base_.loss),
)
