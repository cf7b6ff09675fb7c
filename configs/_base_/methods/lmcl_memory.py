# L-MCL with a memory of all training images (ImageNet): 1 positive and 8192
# negatives per image. One bank of 656 MB per network, of its last stage.
# Taps and depths are those of ResNets.
cohort = dict(type='mmkd.Cohort')
method = dict(
    type='mmkd.OnlineDistiller',
    taps=dict(
        stages=['backbone.layer{1,2,3}'],
        feats='neck',
        logits='head.fc',
    ),
    aux_heads=dict(
        refined=dict(
            type='mmkd.FeatureRefinement',
            on=['stages', 'feats'],
            stage_depths=1,
        ),
        stage_logits=dict(
            type='mmkd.StageClassifiers', on=['refined', 'logits']
        ),
        embeds=dict(type='mmkd.StageEmbeddings', on='refined', feat_dim=128),
        aggregated=dict(
            type='mmkd.LogitAggregator', on=['refined', 'stage_logits']
        ),
    ),
    exchange=dict(
        type='mmkd.MemoryLayerwiseMutualContrastiveExchange',
        on=dict(
            feats='refined',
            logits='stage_logits',
            embeds='embeds',
            aggregated='aggregated',
        ),
        num_positives=1,
        num_negatives=8192,
        loss=dict(
            type='mmkd.MemoryLayerwiseMutualContrastiveLoss',
            num_peers=2,
            num_samples=1281167,
            feat_dim=128,
            temperature=0.07,
            momentum=0.5,
            kd_temperature=3.0,
            vcl_weight=0.01,
            soft_vcl_weight=1.0,
            icl_weight=0.01,
            soft_icl_weight=1.0,
            intra_bank='own',  # 'first' is what the authors' code does
        ),
        matching=dict(type='mmkd.LayerMatchingNetwork', proj_dim=128),
        logit_loss=dict(type='mmkd.AggregatedLogitKDLoss', temperature=3.0),
    ),
    input_shape=(3, 224, 224),
)
custom_hooks = [
    dict(type='mmkd.DatasetLabelsHook'),
    dict(
        type='mmkd.MetaOptimizationHook',
        interval=500,
        num_inner_steps=2,
        momentum=0.9,
        adjoint='exact',
    ),
    dict(type='mmkd.ExportStudentHook'),
]
