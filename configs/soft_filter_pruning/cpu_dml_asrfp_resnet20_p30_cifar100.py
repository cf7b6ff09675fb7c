# Distil while pruning: two ResNet-20 teach each other, ASRFP prunes both.
# From scratch, 10 epochs.
_base_ = ['cpu_baseline_resnet20_cifar100.py', '../_base_/methods/asrfp.py']
model = dict(
    _delete_=True,
    type='mmkd.OnlineDistiller',
    cohort=dict(type='mmkd.Cohort', peers=[_base_.model] * 2),
    taps=dict(logits='head.fc'),
    exchange=dict(
        type='mmkd.MutualExchange',
        on='logits',
        target='pairwise',
        temperature=1.0,
    ),
    input_shape=(3, 32, 32),
)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
default_hooks = dict(
    pruning=dict(pruning_rate=0.3, mask_bn=True, **_base_.pruning),
    checkpoint=dict(save_best='pruned/accuracy/top1'),
)
