# KD: WRN-40-2 teaches WRN-40-1.
_base_ = [
    '../_base_/pairs/wrn_40_2_wrn_40_1.py',
    '../_base_/methods/kd.py',
]
model = dict(
    student=_base_.task_weight,
    losses=dict(kd=_base_.loss),
)
