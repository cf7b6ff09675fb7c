_base_ = 'cpu_srfp_resnet20_p30_cifar100.py'
custom_hooks = [
    dict(
        type='mmkd.SoftFilterPruningHook',
        method='srfp',
        pruning_rate=0.1,
    )
]
