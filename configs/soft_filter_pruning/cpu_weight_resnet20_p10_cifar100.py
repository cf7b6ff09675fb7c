_base_ = 'cpu_weight_resnet20_p30_cifar100.py'
custom_hooks = [
    dict(
        type='mmkd.SoftFilterPruningHook',
        method='sfp',
        granularity='weight',
        pruning_rate=0.1,
    )
]
