# ONE, three branches, on synthetic scenes.
_base_ = [
    '../mcl/toy_baseline.py',
    '../_base_/methods/one.py',
]
model = dict(
    _delete_=True,
    cohort=dict(peers=[_base_.model] * 3, **_base_.cohort),
    **_base_.method,
)
model['exchange']['ramp_epochs'] = 2
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
