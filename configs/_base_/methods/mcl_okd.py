# MCL-OKD: contrast with a bank of all training images per peer, mean logits
# teach the last peer. `shared` and K depend on the network.
method = dict(
    type='mmkd.OnlineDistiller',
    taps=dict(feats='neck', logits='head.fc'),
    aux_heads=dict(
        embeds=dict(
            type='mmkd.EmbeddingProjection', on='feats', embedding_dim=128
        )
    ),
    exchange=dict(
        type='mmkd.MultiViewContrastExchange',
        on=dict(embeds='embeds', logits='logits'),
        temperature=3.0,
        kd_weight=1.0,
        contrast_weight=0.025,
        contrast=dict(
            type='mmkd.MemoryNCELoss',
            num_samples=50000,
            num_negatives=256,
            temperature=0.1,
            momentum=0.5,
        ),
    ),
    deploy=-1,
    input_shape=(3, 32, 32),
)
custom_hooks = [
    dict(type='mmkd.DatasetLabelsHook'),
    dict(type='mmkd.ExportStudentHook'),
]
