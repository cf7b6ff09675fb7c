# MCL on MoCo (v1): every encoder contrasts its queries with the keys and
# queues of all. All see the same two views, shuffled alike for the keys.
method = dict(
    type='mmkd.OnlineDistiller',
    peer_views=[0, 0],
    followers=dict(
        key=dict(momentum=0.999, buffers='own', view=1, shuffle=True)
    ),
    taps=dict(feats='neck'),
    aux_heads=dict(
        embeds=dict(
            type='mmkd.ContrastiveEmbedding',
            on='feats',
            feat_dim=128,
            num_layers=1,
        )
    ),
    exchange=dict(
        type='mmkd.LossExchange',
        on=dict(queries='embeds', keys='key.embeds'),
        loss=dict(
            type='mmkd.MoCoMutualContrastiveLoss',
            num_peers=2,
            feat_dim=128,
            queue_size=65536,
            temperature=0.07,
            kd_temperature=3.0,
            vcl_weight=1.0,
            soft_vcl_weight=1.0,
            icl_weight=1.0,
            soft_icl_weight=1.0,
        ),
    ),
    input_shape=(3, 224, 224),
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
