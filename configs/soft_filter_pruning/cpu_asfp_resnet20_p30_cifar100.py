# ASFP: the share of zeroed filters grows to 30 %.
_base_ = [
    'cpu_baseline_longer_resnet20_cifar100.py',
    '../_base_/methods/asfp.py',
]
default_hooks = dict(
    pruning=dict(
        pruning_rate=0.3,
        by_epoch=False,
        interval=40,
        mask_bn=True,
        **_base_.pruning,
    ),
    checkpoint=dict(save_best='pruned/accuracy/top1'),
)
