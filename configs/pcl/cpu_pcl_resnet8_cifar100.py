# PCL, three peers of one trunk; the ramp is 80 of 300 epochs in the paper.
_base_ = [
    '../dml/cpu_baseline_resnet8_cifar100.py',
    '../_base_/methods/pcl.py',
]
data_preprocessor = dict(num_views=3)
model = dict(
    _delete_=True,
    cohort=dict(peers=[_base_.model] * 3, **_base_.cohort),
    **_base_.method,
)
model['exchange']['ramp_epochs'] = 5
val_evaluator = [
    dict(type='mmkd.PeerMetric', metric=_base_.val_evaluator),
    dict(type='mmkd.PeerDistance'),
]
