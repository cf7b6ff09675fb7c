# SFP: 30 % of the filters of every convolution are zeroed
# after every 40 iterations.
_base_ = [
    'cpu_baseline_longer_resnet20_cifar100.py',
    '../_base_/methods/sfp.py',
]
default_hooks = dict(
    pruning=dict(
        _base_.pruning,
        pruning_rate=0.3,
        by_epoch=False,
        interval=40,
        mask_bn=True,
        mask_before_train=False,
    ),
    checkpoint=dict(save_best='pruned/accuracy/top1'),
)
