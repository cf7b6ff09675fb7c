# MCL-OKD, four branches; weights as published, the schedule of the baseline.
_base_ = [
    'cpu_baseline_resnet8_3e_cifar100.py',
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
model['exchange']['contrast']['num_samples'] = 10000
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
