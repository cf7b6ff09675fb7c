# ResNet-32, SFP, 30 % of the filters.
_base_ = ['baseline_resnet32_cifar100.py', '../_base_/methods/sfp.py']
default_hooks = dict(
    pruning=dict(pruning_rate=0.3, **_base_.pruning),
    checkpoint=dict(save_best='pruned/accuracy/top1'),
)
