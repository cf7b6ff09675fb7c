# ONE as in OKDDip's comparison: the transfer trains the gate, too.
cohort = dict(type='mmkd.Cohort', shared=['stem', 'stage1', 'stage2'])
method = dict(
    type='mmkd.OnlineDistiller',
    taps=dict(trunk='backbone.layer2', logits='head.fc'),
    exchange=dict(
        type='mmkd.GatedEnsembleExchange',
        on=dict(trunk='trunk', logits='logits'),
        temperature=3.0,
        ramp_epochs=80,
        detach_target=False,
    ),
    deploy=0,
    input_shape=(3, 32, 32),
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
