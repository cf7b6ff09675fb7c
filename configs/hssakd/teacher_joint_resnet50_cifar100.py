# HSAKD, Teacher*: ResNet-50 and its branches from scratch.
_base_ = [
    'baseline_resnet50_cifar100.py',
    '../_base_/methods/hsakd_teacher.py',
]
model = dict(
    _delete_=True,
    student=_base_.model,
    taps=dict(stages='backbone.layer{1,2,3,4}'),
    **_base_.method,
)
