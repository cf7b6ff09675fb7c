# ASRFP: a growing share of filters, up to 30 %, is damped more and more.
_base_ = [
    'cpu_baseline_longer_resnet20_cifar100.py',
    '../_base_/methods/asrfp.py',
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
