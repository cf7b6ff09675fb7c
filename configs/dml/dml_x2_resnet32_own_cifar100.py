# DML, two ResNet-32, as in its paper.
_base_ = [
    'dml_baseline_resnet32_own_cifar100.py',
    '../_base_/methods/dml.py',
]
model = dict(
    _delete_=True,
    cohort=dict(peers=[_base_.model] * 2, **_base_.cohort),
    **_base_.method,
)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
