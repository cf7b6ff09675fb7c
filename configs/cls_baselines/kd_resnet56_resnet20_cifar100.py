# KD: ResNet-56 teaches ResNet-20.
_base_ = [
    '../_base_/pairs/resnet56_resnet20.py',
    '../_base_/methods/kd.py',
]
model = dict(
    student=_base_.task_weight,
    losses=dict(kd=_base_.loss),
)
