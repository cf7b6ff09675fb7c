# CL-ILR as in its paper and MCL-OKD's comparison: a tree of four heads, stem
# and stage 1 for all, stage 2 for pairs; both losses are halved.
cohort = dict(
    type='mmkd.Cohort',
    shared=[['stem', 'stage1'], ['stage2']],
    tree=[[0, 1], [2, 3]],
    scale_gradient=True,
)
method = dict(
    type='mmkd.OnlineDistiller',
    taps=dict(logits='head.fc'),
    exchange=dict(
        type='mmkd.CollaborativeExchange',
        on='logits',
        temperature=2.0,
        ramp_epochs=0,
        detach_target=True,
        loss_weight=0.5,
    ),
    task_weight=0.5,
    input_shape=(3, 32, 32),
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
