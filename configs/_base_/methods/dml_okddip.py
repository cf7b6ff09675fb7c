# DML, separate networks, as in OKDDip's comparison: the mean of the others'
# logits is the target, and gradient flows to both sides.
cohort = dict(type='mmkd.Cohort')
method = dict(
    type='mmkd.OnlineDistiller',
    taps=dict(logits='head.fc'),
    exchange=dict(
        type='mmkd.MutualExchange',
        on='logits',
        target='leave_one_out_mean',
        temperature=3.0,
        ramp_epochs=0,  # the authors ramp ONE, CL-ILR and OKDDip alone
        detach_target=False,
    ),
    input_shape=(3, 32, 32),
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
