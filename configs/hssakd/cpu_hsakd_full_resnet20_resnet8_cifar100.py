# HSAKD; the teacher's branches have learned from all images.
_base_ = 'cpu_hsakd_resnet20_resnet8_cifar100.py'
model = dict(
    teacher=dict(
        config='mmkd::hssakd/cpu_teacher_frozen_full_resnet20_cifar100.py',
        checkpoint='work_dirs/cpu_teacher_frozen_full_resnet20_cifar100/epoch_10.pth',
    )
)
