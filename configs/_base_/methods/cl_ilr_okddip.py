# CL-ILR as in OKDDip's comparison: one branching point before the last
# stage, gradient flows to both sides.
cohort = dict(
    type='mmkd.Cohort',
    shared=['stem', 'stage1', 'stage2'],
    scale_gradient=True,
)
method = dict(
    type='mmkd.OnlineDistiller',
    taps=dict(logits='head.fc'),
    exchange=dict(
        type='mmkd.CollaborativeExchange',
        on='logits',
        temperature=3.0,
        ramp_epochs=80,
        detach_target=False,
    ),
    input_shape=(3, 32, 32),
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
