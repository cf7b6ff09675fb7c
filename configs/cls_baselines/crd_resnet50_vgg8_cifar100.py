# CRD: ResNet-50 teaches VGG-8.
_base_ = [
    '../_base_/pairs/resnet50_vgg8.py',
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
