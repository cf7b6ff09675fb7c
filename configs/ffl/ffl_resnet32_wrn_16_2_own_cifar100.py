# FFL of unlike networks, nothing shared: ResNet-32 and WRN-16-2. 1x1
# convolutions bring their maps to one width.
_base_ = [
    'ffl_baseline_resnet32_own_cifar100.py',
    '../_base_/methods/ffl.py',
]
second = dict(config='mmkd::ffl/ffl_baseline_wrn_16_2_own_cifar100.py')
model = dict(
    _delete_=True,
    cohort=dict(type='mmkd.Cohort', peers=[_base_.model, second]),
    **_base_.method,
)
model['exchange']['fusion']['adapter_channels'] = 128
optim_wrapper = dict(paramwise_cfg=_base_.paramwise)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
