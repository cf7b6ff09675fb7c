# HSAKD*: ResNet-32x4, trained with its branches, teaches ShuffleNetV2.
_base_ = 'hsakd_resnet32x4_shufflenet_v2_cifar100.py'
model = dict(
    teacher=dict(
        config='mmkd::hssakd/teacher_joint_resnet32x4_cifar100.py',
        checkpoint='checkpoints/teacher_joint_resnet32x4_cifar100.pth',
    ),
)
