# ONE, three branches; the ramp is 80 of 300 epochs in the paper's code.
_base_ = '../dml/cpu_baseline_resnet8_cifar100.py'
model = dict(
    _delete_=True,
    type='mmkd.OnlineDistiller',
    cohort=dict(
        type='mmkd.Cohort',
        peers=[_base_.model] * 3,
        shared=['stem', 'stage1', 'stage2'],
    ),
    taps=dict(trunk='backbone.layer2', logits='head.fc'),
    exchange=dict(
        type='mmkd.GatedEnsembleExchange',
        on=dict(trunk='trunk', logits='logits'),
        temperature=3.0,
        ramp_epochs=5,
    ),
    deploy=0,
    input_shape=(3, 32, 32),
)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
