# DML, four separate networks, OKDDip's recipe:
# ResNet-110 (bottlenecks 12-12-12).
_base_ = [
    'dml_baseline_resnet110_cifar100.py',
    '../_base_/methods/dml_okddip.py',
]
model = dict(
    _delete_=True,
    cohort=dict(peers=[_base_.model] * 4, **_base_.cohort),
    **_base_.method,
)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
