# MCL with a memory of all training images (ImageNet): 1 positive and 8192
# negatives per image and network. Banks: 656 MB per network.
cohort = dict(type='mmkd.Cohort')
method = dict(
    type='mmkd.OnlineDistiller',
    taps=dict(feats='neck'),
    aux_heads=dict(
        embeds=dict(type='mmkd.ContrastiveEmbedding', on='feats', feat_dim=128)
    ),
    exchange=dict(
        type='mmkd.MemoryMutualContrastiveExchange',
        on='embeds',
        num_positives=1,
        num_negatives=8192,
        loss=dict(
            type='mmkd.MemoryMutualContrastiveLoss',
            num_peers=2,
            num_samples=1281167,
            feat_dim=128,
            temperature=0.07,
            momentum=0.5,
            kd_temperature=3.0,
            vcl_weight=0.1,
            soft_vcl_weight=1.0,
            icl_weight=0.1,
            soft_icl_weight=1.0,
        ),
    ),
    input_shape=(3, 224, 224),
)
custom_hooks = [
    dict(type='mmkd.DatasetLabelsHook'),
    dict(type='mmkd.ExportStudentHook'),
]
