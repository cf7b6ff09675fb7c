# The network alone, unpruned: 10 epochs.
_base_ = [
    '../_base_/datasets/cifar100.py',
    '../_base_/models/cifar/resnet20.py',
    '../_base_/schedules/cpu_cifar_20e.py',
    '../_base_/cls_runtime.py',
]
model = dict(backbone=dict(shortcut='pad'))  # as in the papers
data_preprocessor = dict(channels_last=True)
param_scheduler = dict(T_max=10)
train_cfg = dict(
    max_epochs=10,
    val_interval=4,
    dynamic_intervals=[(9, 1)],  # epochs 4, 8, 9 and 10
)
default_hooks = dict(filter_norms=dict(type='mmkd.FilterNormsHook'))
