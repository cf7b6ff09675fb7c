# ONE, three branches, as in the authors' code:
# ResNet-32.
_base_ = [
    'one_baseline_resnet32_own_cifar100.py',
    '../_base_/methods/one.py',
]
model = dict(
    _delete_=True,
    cohort=dict(peers=[_base_.model] * 3, **_base_.cohort),
    **_base_.method,
)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
