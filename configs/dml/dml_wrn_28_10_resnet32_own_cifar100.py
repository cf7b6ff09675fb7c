# DML, WRN-28-10 and ResNet-32, as in its paper.
_base_ = [
    'dml_baseline_wrn_28_10_own_cifar100.py',
    '../_base_/methods/dml.py',
]
second = dict(config='mmkd::dml/dml_baseline_resnet32_own_cifar100.py')
model = dict(
    _delete_=True,
    cohort=dict(peers=[_base_.model, second], **_base_.cohort),
    **_base_.method,
)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
