# MoCo (v1): one encoder. Queries are embeddings of view 0, keys those of view
# 1 by a moving average of the encoder, which sees the batch shuffled.
method = dict(
    type='mmkd.OfflineDistiller',
    teacher=dict(
        follow='student', momentum=0.999, buffers='own', view=1, shuffle=True
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
    losses=dict(
        moco=dict(
            type='mmkd.MoCoMutualContrastiveLoss',
            on='embeds',
            num_peers=1,
            feat_dim=128,
            queue_size=65536,
            temperature=0.07,
        )
    ),
    input_shape=(3, 224, 224),
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
