# SRFP: 30 % of the filters are damped, less and less of them remains.
_base_ = 'cpu_sfp_resnet20_p30_cifar100.py'
custom_hooks = [
    dict(
        type='mmkd.SoftFilterPruningHook',
        method='srfp',
        pruning_rate=0.3,
    )
]
