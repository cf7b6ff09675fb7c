# CRD: ResNet-32x4 teaches ShuffleNetV1.
_base_ = [
    '../_base_/pairs/resnet32x4_shufflenet_v1.py',
    '../_base_/methods/crd.py',
]
model = dict(
    losses=dict(
        crd=dict(
            student_dim=_base_.shapes.pooled.student_channels,
            teacher_dim=_base_.shapes.pooled.teacher_channels,
            **_base_.loss,
        ),
    ),
)
custom_hooks = _base_.crd_hooks
