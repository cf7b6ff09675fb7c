# HSAKD: as HSAKD*, from the branches of a frozen teacher.
_base_ = 'cpu_hsakd_joint_resnet20_resnet8_cifar100.py'
model = dict(
    teacher=dict(
        config='mmkd::hssakd/cpu_teacher_frozen_resnet20_cifar100.py',
        checkpoint='work_dirs/cpu_teacher_frozen_resnet20_cifar100/epoch_10.pth',
    )
)
