# Teacher*: ResNet-20 and its branches from scratch.
_base_ = [
    'cpu_baseline_resnet20_cifar100.py',
    '../_base_/methods/hsakd_teacher.py',
]
model = dict(
    _delete_=True,
    student=_base_.model,
    taps=dict(stages='backbone.layer{1,2,3}'),
    **_base_.method,
)
custom_hooks = [dict(type='mmkd.ViewMetricsHook')]
