# HSAKD, the teacher: a network learns with its branches, which tell class
# and rotation; joint, from scratch.
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
    teacher=None,
    views=views,
    aux_heads=dict(joint=branches),
    losses=dict(
        joint=dict(type='mmkd.JointLabelLoss', on='joint', loss_weight=1.0)
    ),
    input_shape=(3, 32, 32),
)
