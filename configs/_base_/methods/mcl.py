# MCL within the batch (CIFAR). The networks see the same view; the contrast
# needs a class-aware sampler.
cohort = dict(type='mmkd.Cohort')
method = dict(
    type='mmkd.OnlineDistiller',
    taps=dict(feats='neck'),
    aux_heads=dict(
        embeds=dict(type='mmkd.ContrastiveEmbedding', on='feats', feat_dim=128)
    ),
    exchange=dict(
        type='mmkd.MutualContrastiveExchange',
        on='embeds',
        loss=dict(
            type='mmkd.MutualContrastiveLoss',
            temperature=0.1,
            kd_temperature=3.0,
            vcl_weight=0.1,
            soft_vcl_weight=1.0,
            icl_weight=0.1,
            soft_icl_weight=1.0,
        ),
    ),
    input_shape=(3, 32, 32),
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
