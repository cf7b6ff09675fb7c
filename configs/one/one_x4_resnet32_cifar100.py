# ONE, four branches, OKDDip's recipe: ResNet-32.
_base_ = [
    '../dml/dml_baseline_resnet32_cifar100.py',
    '../_base_/methods/one_okddip.py',
]
model = dict(
    _delete_=True,
    cohort=dict(peers=[_base_.model] * 4, **_base_.cohort),
    **_base_.method,
)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
