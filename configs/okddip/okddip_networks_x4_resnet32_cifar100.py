# OKDDip, four separate networks (its network form), OKDDip's recipe:
# ResNet-32.
_base_ = [
    '../dml/dml_baseline_resnet32_cifar100.py',
    '../_base_/methods/okddip.py',
]
model = dict(
    _delete_=True,
    cohort=dict(type='mmkd.Cohort', peers=[_base_.model] * 4),
    **_base_.method,
)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
