# AFD without its feature maps, two ResNet-32: DML at temperature 3.
_base_ = [
    'afd_baseline_resnet32_cifar100.py',
    '../_base_/methods/dml.py',
]
model = dict(
    _delete_=True,
    cohort=dict(peers=[_base_.model] * 2, **_base_.cohort),
    **_base_.method,
)
model['exchange']['temperature'] = 3.0
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
