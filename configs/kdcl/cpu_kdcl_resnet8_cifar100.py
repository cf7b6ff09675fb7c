# KDCL-MinLogit, two separate networks with an augmentation each.
_base_ = '../dml/cpu_baseline_resnet8_cifar100.py'
data_preprocessor = dict(num_views=2)
model = dict(
    _delete_=True,
    type='mmkd.OnlineDistiller',
    cohort=dict(type='mmkd.Cohort', peers=[_base_.model] * 2),
    taps=dict(logits='head.fc'),
    exchange=dict(
        type='mmkd.KnowledgeCollaborationExchange',
        on='logits',
        target='minlogit',
        temperature=2.0,
    ),
    input_shape=(3, 32, 32),
)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
