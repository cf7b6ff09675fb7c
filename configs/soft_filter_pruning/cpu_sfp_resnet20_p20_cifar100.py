_base_ = 'cpu_sfp_resnet20_p30_cifar100.py'
custom_hooks = [
    dict(
        type='mmkd.SoftFilterPruningHook',
        method='sfp',
        pruning_rate=0.2,
    )
]
