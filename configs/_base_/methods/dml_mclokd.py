# DML as in MCL-OKD's comparison, where stem and stage 1 are shared.
cohort = dict(type='mmkd.Cohort', shared=['stem', 'stage1'])
method = dict(
    type='mmkd.OnlineDistiller',
    taps=dict(logits='head.fc'),
    exchange=dict(
        type='mmkd.MutualExchange',
        on='logits',
        target='pairwise',
        temperature=2.0,
        ramp_epochs=0,
        detach_target=True,
    ),
    input_shape=(3, 32, 32),
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
