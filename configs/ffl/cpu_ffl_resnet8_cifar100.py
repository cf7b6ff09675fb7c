# FFL, two sub-networks; the ramp is 80 of 300 epochs in the authors' code.
_base_ = [
    '../dml/cpu_baseline_resnet8_cifar100.py',
    '../_base_/methods/ffl.py',
]
model = dict(
    _delete_=True,
    cohort=dict(peers=[_base_.model] * 2, **_base_.cohort),
    **_base_.method,
)
model['exchange']['ramp_epochs'] = 5
optim_wrapper = dict(paramwise_cfg=_base_.paramwise)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
