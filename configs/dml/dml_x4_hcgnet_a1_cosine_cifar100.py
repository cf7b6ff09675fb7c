# DML with the constants and recipe of MCL-OKD's comparison:
# HCGNet-A1.
_base_ = [
    'dml_baseline_hcgnet_a1_cosine_cifar100.py',
    '../_base_/methods/dml_mclokd.py',
]
model = dict(
    _delete_=True,
    cohort=dict(peers=[_base_.model] * 4, **_base_.cohort),
    **_base_.method,
)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
