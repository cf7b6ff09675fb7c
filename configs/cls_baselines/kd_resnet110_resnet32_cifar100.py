# KD: ResNet-110 teaches ResNet-32.
_base_ = [
    '../_base_/pairs/resnet110_resnet32.py',
    '../_base_/methods/kd.py',
]
model = dict(
    student=_base_.task_weight,
    losses=dict(kd=_base_.loss),
)
