# ASFP: the share of zeroed filters grows to 30 %.
_base_ = 'cpu_sfp_resnet20_p30_cifar100.py'
custom_hooks = [
    dict(
        type='mmkd.SoftFilterPruningHook',
        method='asfp',
        pruning_rate=0.3,
    )
]
