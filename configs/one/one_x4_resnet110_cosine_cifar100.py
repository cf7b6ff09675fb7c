# ONE with the constants and recipe of MCL-OKD's comparison:
# ResNet-110 (bottlenecks 12-12-12).
_base_ = [
    '../dml/dml_baseline_resnet110_cosine_cifar100.py',
    '../_base_/methods/one_mclokd.py',
]
model = dict(
    _delete_=True,
    cohort=dict(peers=[_base_.model] * 4, **_base_.cohort),
    **_base_.method,
)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
