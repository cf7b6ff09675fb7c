# OKDDip, branches of one network: auxiliary peers and the leader, the last
# one, which is deployed. Nothing is detached: that trains the attention.
cohort = dict(type='mmkd.Cohort', shared=['stem', 'stage1', 'stage2'])
method = dict(
    type='mmkd.OnlineDistiller',
    taps=dict(feats='neck', logits='head.fc'),
    exchange=dict(
        type='mmkd.DiversePeersExchange',
        on=dict(feats='feats', logits='logits'),
        temperature=3.0,
        ramp_epochs=80,
        leader=-1,
        reduction=8,
    ),
    deploy=-1,
    input_shape=(3, 32, 32),
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
