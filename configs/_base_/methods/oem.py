# OEM: the network and four narrower ones on one stem; weights of the paper's
# ablation. Adaptation layers learn at half the rate.
cohort = dict(type='mmkd.CompressedCohort', num_students=5, shared=['stem'])
method = dict(
    type='mmkd.OnlineDistiller',
    taps=dict(maps=['backbone.layer{1,2,3}'], logits='head.fc'),
    exchange=dict(
        type='mmkd.OnlineEnsembleExchange',
        on=dict(maps='maps', logits='logits'),
        temperature=2.0,
        kd_weight=0.15,
        feature_weight=0.15,
        adaptation=True,
    ),
    task_weight=0.7,
    deploy='all',
    input_shape=(3, 32, 32),
)
adaptation = dict(
    custom_keys=dict(adapters=dict(lr_mult=0.5)), bypass_duplicate=True
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
