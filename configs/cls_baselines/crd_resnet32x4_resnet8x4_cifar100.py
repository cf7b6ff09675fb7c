# CRD: ResNet-32x4 teaches ResNet-8x4.
_base_ = [
    '../_base_/pairs/resnet32x4_resnet8x4.py',
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
