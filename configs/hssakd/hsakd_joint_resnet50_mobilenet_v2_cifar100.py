# HSAKD*: ResNet-50, trained with its branches, teaches MobileNetV2.
_base_ = 'hsakd_resnet50_mobilenet_v2_cifar100.py'
model = dict(
    teacher=dict(
        config='mmkd::hssakd/teacher_joint_resnet50_cifar100.py',
        checkpoint='checkpoints/teacher_joint_resnet50_cifar100.pth',
    ),
)
