_base_ = 'cpu_asfp_resnet20_p30_cifar100.py'
custom_hooks = [
    dict(
        type='mmkd.SoftFilterPruningHook',
        method='asfp',
        pruning_rate=0.4,
    )
]
