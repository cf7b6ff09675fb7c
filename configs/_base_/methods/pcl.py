# PCL: all but the last stage is shared, an augmentation for each peer, and a
# moving average of the whole network whose batch norms have statistics of
# their own. Set num_views in the data preprocessor, too.
cohort = dict(type='mmkd.Cohort', shared=['stem', 'stage1', 'stage2'])
method = dict(
    type='mmkd.OnlineDistiller',
    taps=dict(feats='neck', logits='head.fc'),
    exchange=dict(
        type='mmkd.PeerCollaborativeExchange',
        on=dict(feats='feats', logits='logits', mean='mean.logits'),
        temperature=3.0,
        ramp_epochs=80,
    ),
    followers=dict(mean=dict(momentum=0.999, warmup=True, buffers='own')),
    peer_views=[0, 1, 2],
    deploy=dict(peer=0, weights='mean'),
    input_shape=(3, 32, 32),
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
