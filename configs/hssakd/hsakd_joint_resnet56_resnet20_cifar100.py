# HSAKD*: ResNet-56, trained with its branches, teaches ResNet-20.
_base_ = 'hsakd_resnet56_resnet20_cifar100.py'
model = dict(
    teacher=dict(
        config='mmkd::hssakd/teacher_joint_resnet56_cifar100.py',
        checkpoint='checkpoints/teacher_joint_resnet56_cifar100.pth',
    ),
)
