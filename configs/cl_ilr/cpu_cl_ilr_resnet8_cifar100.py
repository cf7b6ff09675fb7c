# CL-ILR, a tree of four heads: stem and stage 1 for all, stage 2 for pairs.
_base_ = '../dml/cpu_baseline_resnet8_cifar100.py'
model = dict(
    _delete_=True,
    type='mmkd.OnlineDistiller',
    cohort=dict(
        type='mmkd.Cohort',
        peers=[_base_.model] * 4,
        shared=[['stem', 'stage1'], ['stage2']],
        tree=[[0, 1], [2, 3]],
        scale_gradient=True,
    ),
    taps=dict(logits='head.fc'),
    exchange=dict(
        type='mmkd.CollaborativeExchange',
        on='logits',
        temperature=2.0,
        loss_weight=0.5,
    ),
    task_weight=0.5,
    input_shape=(3, 32, 32),
)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
