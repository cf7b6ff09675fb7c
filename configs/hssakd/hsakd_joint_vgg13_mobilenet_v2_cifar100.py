# HSAKD*: VGG-13, trained with its branches, teaches MobileNetV2.
_base_ = 'hsakd_vgg13_mobilenet_v2_cifar100.py'
model = dict(
    teacher=dict(
        config='mmkd::hssakd/teacher_joint_vgg13_cifar100.py',
        checkpoint='checkpoints/teacher_joint_vgg13_cifar100.pth',
    ),
)
