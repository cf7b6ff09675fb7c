# OEM, ResNet-8 and four narrower ones in one run.
_base_ = [
    '../dml/cpu_baseline_resnet8_cifar100.py',
    '../_base_/methods/oem.py',
]
model = dict(
    _delete_=True,
    cohort=dict(peer=_base_.model, **_base_.cohort),
    **_base_.method,
)
optim_wrapper = dict(paramwise_cfg=_base_.adaptation)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
