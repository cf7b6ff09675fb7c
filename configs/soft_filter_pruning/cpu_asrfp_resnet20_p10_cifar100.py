_base_ = 'cpu_asrfp_resnet20_p30_cifar100.py'
custom_hooks = [
    dict(
        type='mmkd.SoftFilterPruningHook',
        method='asrfp',
        pruning_rate=0.1,
    )
]
