# ASRFP: a growing share of filters, up to 30 %, is damped more and more.
_base_ = 'cpu_sfp_resnet20_p30_cifar100.py'
custom_hooks = [
    dict(
        type='mmkd.SoftFilterPruningHook',
        method='asrfp',
        pruning_rate=0.3,
    )
]
