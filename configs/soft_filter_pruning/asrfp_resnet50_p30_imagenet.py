# ResNet-50, ASRFP, 30 % of the filters.
_base_ = [
    'baseline_resnet50_imagenet.py',
    '../_base_/methods/asrfp_imagenet.py',
]
default_hooks = dict(
    pruning=dict(pruning_rate=0.3, **_base_.pruning),
    checkpoint=dict(save_best='pruned/accuracy/top1'),
)
