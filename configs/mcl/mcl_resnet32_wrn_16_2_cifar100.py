# MCL of two different networks, ResNet-32 and WRN-16-2. No published number:
# the paper's cohorts are of one kind.
_base_ = [
    'baseline_resnet32_cifar100.py',
    '../_base_/methods/mcl.py',
]
second = dict(config='mmkd::mcl/baseline_wrn_16_2_cifar100.py')
model = dict(
    _delete_=True,
    cohort=dict(peers=[_base_.model, second], **_base_.cohort),
    **_base_.method,
)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
