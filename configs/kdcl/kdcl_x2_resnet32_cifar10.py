# KDCL-Linear, two separate networks, OKDDip's recipe:
# ResNet-32.
_base_ = [
    '../dml/dml_baseline_resnet32_cifar10.py',
    '../_base_/methods/kdcl.py',
]
data_preprocessor = dict(num_views=2)
model = dict(
    _delete_=True,
    cohort=dict(peers=[_base_.model] * 2, **_base_.cohort),
    **_base_.method,
)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
