# SSKD; the teacher's head has learned from all images.
_base_ = 'cpu_sskd_resnet20_resnet8_cifar100.py'
model = dict(
    teacher=dict(
        checkpoint='work_dirs/cpu_sskd_teacher_full_resnet20_cifar100/epoch_8.pth'
    )
)
