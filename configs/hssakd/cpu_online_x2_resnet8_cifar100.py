# Online HSSAKD: two ResNet-8, a quarter of the images.
_base_ = [
    'cpu_baseline_resnet8_25_cifar100.py',
    '../_base_/methods/hssakd_online.py',
]
model = dict(
    _delete_=True,
    cohort=dict(peers=[_base_.model] * 2, **_base_.cohort),
    taps=dict(stages='backbone.layer{1,2,3}', logits='head.fc'),
    **_base_.method,
)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
custom_hooks = [*_base_.custom_hooks, dict(type='mmkd.ViewMetricsHook')]
train_cfg = dict(val_interval=2)  # for the curves of the branches
