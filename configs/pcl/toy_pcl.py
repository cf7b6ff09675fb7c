# PCL, three peers of one trunk, on synthetic scenes.
_base_ = [
    '../mcl/toy_baseline.py',
    '../_base_/methods/pcl.py',
]
data_preprocessor = dict(num_views=3)
model = dict(
    _delete_=True,
    cohort=dict(peers=[_base_.model] * 3, **_base_.cohort),
    **_base_.method,
)
model['exchange']['ramp_epochs'] = 2
val_evaluator = [
    dict(type='mmkd.PeerMetric', metric=_base_.val_evaluator),
    dict(type='mmkd.PeerDistance'),
]
