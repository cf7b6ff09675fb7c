# Weight pruning: 30 % of the single weights, softly as in SFP.
_base_ = 'cpu_sfp_resnet20_p30_cifar100.py'
custom_hooks = [
    dict(
        type='mmkd.SoftFilterPruningHook',
        method='sfp',
        granularity='weight',
        pruning_rate=0.3,
    )
]
