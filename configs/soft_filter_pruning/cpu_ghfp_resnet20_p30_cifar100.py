# GHFP: of the growing share of zeroed filters more and more stay zero.
_base_ = 'cpu_sfp_resnet20_p30_cifar100.py'
custom_hooks = [
    dict(
        type='mmkd.SoftFilterPruningHook',
        method='ghfp',
        pruning_rate=0.3,
    )
]
