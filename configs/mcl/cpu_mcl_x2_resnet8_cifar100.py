# MCL, two separate networks; weights as published.
_base_ = 'cpu_baseline_class_aware_resnet8_cifar100.py'
model = dict(
    _delete_=True,
    type='mmkd.OnlineDistiller',
    cohort=dict(type='mmkd.Cohort', peers=[_base_.model] * 2),
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
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
