# KD: ResNet-32x4 teaches ShuffleNetV1.
_base_ = [
    '../_base_/pairs/resnet32x4_shufflenet_v1.py',
    '../_base_/methods/kd.py',
]
model = dict(
    student=_base_.task_weight,
    losses=dict(kd=_base_.loss),
)
