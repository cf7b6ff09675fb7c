# ResNet-20, ASRFP, 30 % of the filters.
_base_ = ['baseline_resnet20_cifar100.py', '../_base_/methods/asrfp.py']
param_scheduler = _base_.param_scheduler[1:]  # no slow first epoch
default_hooks = dict(
    pruning=dict(pruning_rate=0.3, **_base_.pruning),
    checkpoint=dict(save_best='pruned/accuracy/top1'),
)
