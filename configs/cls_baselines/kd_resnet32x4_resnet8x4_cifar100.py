# KD: ResNet-32x4 teaches ResNet-8x4.
_base_ = [
    '../_base_/pairs/resnet32x4_resnet8x4.py',
    '../_base_/methods/kd.py',
]
model = dict(
    student=_base_.task_weight,
    losses=dict(kd=_base_.loss),
)
