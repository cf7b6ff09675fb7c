# KDCL-Linear, ResNet-32 and WRN-16-2, an augmentation each. The recipe is that
# of a reimplementation, and so is its temperature.
_base_ = [
    'kdcl_baseline_resnet32_own_cifar100.py',
    '../_base_/methods/kdcl.py',
]
data_preprocessor = dict(num_views=2)
second = dict(config='mmkd::kdcl/kdcl_baseline_wrn_16_2_own_cifar100.py')
model = dict(
    _delete_=True,
    cohort=dict(peers=[_base_.model, second], **_base_.cohort),
    **_base_.method,
)
model['exchange']['temperature'] = 4.0
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
