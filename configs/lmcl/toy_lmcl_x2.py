# L-MCL, two separate networks, on synthetic scenes.
_base_ = [
    'toy_baseline.py',
    '../_base_/methods/lmcl.py',
]
model = dict(
    _delete_=True,
    cohort=dict(peers=[_base_.model] * 2, **_base_.cohort),
    **_base_.method,
)
optim_wrapper = dict(optimizer=dict(lr=0.05))
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
