# MCL, two separate networks: ShuffleNetV2 0.5x.
_base_ = [
    'baseline_shufflenet_v2_05x_cifar100.py',
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
