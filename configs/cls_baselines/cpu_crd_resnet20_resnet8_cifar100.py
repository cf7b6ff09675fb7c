# CRD: ResNet-20 teaches ResNet-8.
_base_ = [
    '../_base_/pairs/cpu_resnet20_resnet8.py',
    '../_base_/methods/crd.py',
]
model = dict(
    losses=dict(crd=dict(student_dim=64, teacher_dim=64, **_base_.loss)),
)
custom_hooks = _base_.crd_hooks
