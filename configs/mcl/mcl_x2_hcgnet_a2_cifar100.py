# MCL, two separate networks: HCGNet-A2.
_base_ = [
    'baseline_hcgnet_a2_cifar100.py',
    '../_base_/methods/mcl.py',
]
model = dict(
    _delete_=True,
    cohort=dict(peers=[_base_.model] * 2, **_base_.cohort),
    **_base_.method,
)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
