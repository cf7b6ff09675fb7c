# HSAKD*: WRN-40-2, trained with its branches, teaches ShuffleNetV1.
_base_ = 'hsakd_wrn_40_2_shufflenet_v1_cifar100.py'
model = dict(
    teacher=dict(
        config='mmkd::hssakd/teacher_joint_wrn_40_2_cifar100.py',
        checkpoint='checkpoints/teacher_joint_wrn_40_2_cifar100.pth',
    ),
)
