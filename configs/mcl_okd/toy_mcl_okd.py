# MCL-OKD, four branches, on synthetic scenes.
_base_ = [
    '../mcl/toy_baseline.py',
    '../_base_/methods/mcl_okd.py',
]
model = dict(
    _delete_=True,
    cohort=dict(
        type='mmkd.Cohort',
        peers=[_base_.model] * 4,
        shared=['stem', 'stage1'],
    ),
    **_base_.method,
)
model['exchange']['contrast']['num_samples'] = 2800
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
