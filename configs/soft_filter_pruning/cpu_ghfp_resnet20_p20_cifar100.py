_base_ = 'cpu_ghfp_resnet20_p30_cifar100.py'
custom_hooks = [
    dict(
        type='mmkd.SoftFilterPruningHook',
        method='ghfp',
        pruning_rate=0.2,
    )
]
