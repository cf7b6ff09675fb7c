# L-MCL, two separate networks, on CIFAR-100 at CPU scale: 4 epochs, batch
# 128, bfloat16; the meta step, always in float32, at the published interval.
_base_ = [
    '../_base_/datasets/cifar100_class_aware.py',
    '../_base_/models/cifar/resnet8.py',
    '../_base_/schedules/cpu_cifar_20e.py',
    '../_base_/cls_runtime.py',
    '../_base_/methods/lmcl.py',
]
model = dict(
    _delete_=True,
    cohort=dict(peers=[_base_.model] * 2, **_base_.cohort),
    **_base_.method,
)
data_preprocessor = dict(channels_last=True)
param_scheduler = dict(T_max=4)
train_cfg = dict(max_epochs=4, val_interval=1)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
