# KDCL, separate networks: T = 2 and weight 1 (recalled). Each network sees an
# augmentation of its own: set num_views in the data preprocessor, too.
cohort = dict(type='mmkd.Cohort')
method = dict(
    type='mmkd.OnlineDistiller',
    taps=dict(logits='head.fc'),
    exchange=dict(
        type='mmkd.KnowledgeCollaborationExchange',
        on='logits',
        target='linear',
        temperature=2.0,
    ),
    input_shape=(3, 32, 32),
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
