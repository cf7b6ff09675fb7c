# ResNet-110, GHFP, 30 % of the filters.
_base_ = ['baseline_resnet110_cifar100.py', '../_base_/methods/ghfp.py']
param_scheduler = _base_.param_scheduler[1:]  # no slow first epoch
default_hooks = dict(
    pruning=dict(pruning_rate=0.3, **_base_.pruning),
    checkpoint=dict(save_best='pruned/accuracy/top1'),
)
