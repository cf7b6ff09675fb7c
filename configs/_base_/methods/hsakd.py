# HSAKD: the teacher's branches and class logits teach the student's, on all
# four rotations.
branches = dict(
    type='mmkd.HierarchicalBranches',
    on='stages',
    num_classes=100,
    num_rotations=4,
    stages='auto',
)
views = dict(type='mmkd.RotationViews', num_rotations=4)
method = dict(
    type='mmkd.OfflineDistiller',
    views=views,
    aux_heads=dict(joint=branches),
    losses=dict(
        kl_q=dict(
            type='mmkd.KLDivLoss', on='joint', temperature=3.0, loss_weight=1.0
        ),
        kl_p=dict(
            type='mmkd.KLDivLoss',
            on='logits',
            temperature=3.0,
            loss_weight=1.0,
        ),
    ),
    input_shape=(3, 32, 32),
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
