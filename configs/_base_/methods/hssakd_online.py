# Online HSSAKD: two peers with branches teach each other.
branches = dict(
    type='mmkd.HierarchicalBranches',
    on='stages',
    num_classes=100,
    num_rotations=4,
    stages='auto',
)
views = dict(type='mmkd.RotationViews', num_rotations=4)
cohort = dict(type='mmkd.Cohort')
method = dict(
    type='mmkd.OnlineDistiller',
    views=views,
    aux_heads=dict(joint=branches),
    exchange=dict(
        type='mmkd.HierarchicalMutualExchange',
        on=dict(logits='logits', joint='joint'),
        temperature=3.0,
        joint_weight=1.0,
        kl_q_weight=1.0,
        kl_p_weight=1.0,
    ),
    input_shape=(3, 32, 32),
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
