# DML, separate networks, as in its paper: T = 1. The authors' code sums over
# the other peers and updates one network after another; here the terms are
# averaged (the same for two peers) and all networks step at once.
cohort = dict(type='mmkd.Cohort')
method = dict(
    type='mmkd.OnlineDistiller',
    taps=dict(logits='head.fc'),
    exchange=dict(
        type='mmkd.MutualExchange',
        on='logits',
        target='pairwise',
        temperature=1.0,
        ramp_epochs=0,
        detach_target=True,
    ),
    input_shape=(3, 32, 32),
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
