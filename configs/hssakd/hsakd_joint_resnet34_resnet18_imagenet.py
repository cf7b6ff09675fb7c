# HSAKD*: ResNet-34, trained with its branches, teaches ResNet-18.
_base_ = 'hsakd_resnet34_resnet18_imagenet.py'
model = dict(
    teacher=dict(
        config='mmkd::hssakd/teacher_joint_resnet34_imagenet.py',
        checkpoint='checkpoints/teacher_joint_resnet34_imagenet.pth',
    ),
)
