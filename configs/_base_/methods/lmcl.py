# L-MCL within the batch (CIFAR). The networks see the same view; the contrast
# needs a class-aware sampler. All stages but the last are refined by copies
# of the stages behind them.
cohort = dict(type='mmkd.Cohort')
method = dict(
    type='mmkd.OnlineDistiller',
    taps=dict(
        stages=['backbone.layer{1,2}'],
        feats='neck',
        logits='head.fc',
    ),
    aux_heads=dict(
        refined=dict(
            type='mmkd.FeatureRefinement',
            on=['stages', 'feats'],
            stage_depths='full',
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
        type='mmkd.LayerwiseMutualContrastiveExchange',
        on=dict(
            feats='refined',
            logits='stage_logits',
            embeds='embeds',
            aggregated='aggregated',
        ),
        loss=dict(
            type='mmkd.LayerwiseMutualContrastiveLoss',
            temperature=0.1,
            kd_temperature=3.0,
            vcl_weight=0.1,
            soft_vcl_weight=1.0,
            icl_weight=0.1,
            soft_icl_weight=1.0,
        ),
        matching=dict(type='mmkd.LayerMatchingNetwork', proj_dim=128),
        logit_loss=dict(type='mmkd.AggregatedLogitKDLoss', temperature=3.0),
    ),
    input_shape=(3, 32, 32),
)
custom_hooks = [
    dict(
        type='mmkd.MetaOptimizationHook',
        interval=50,
        num_inner_steps=2,
        momentum=0.9,
        adjoint='exact',
    ),
    dict(type='mmkd.ExportStudentHook'),
]
