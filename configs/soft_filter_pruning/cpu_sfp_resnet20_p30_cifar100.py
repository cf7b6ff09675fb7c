# SFP: 30 % of the filters of every convolution are zeroed after each epoch.
_base_ = 'cpu_baseline_resnet20_cifar100.py'
custom_hooks = [
    dict(
        type='mmkd.SoftFilterPruningHook',
        method='sfp',
        pruning_rate=0.3,
    )
]
default_hooks = dict(checkpoint=dict(save_best='pruned/accuracy/top1'))
