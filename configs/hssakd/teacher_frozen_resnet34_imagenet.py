# HSAKD, Teacher: branches of an ordinary ResNet-34, which rests.
_base_ = 'teacher_joint_resnet34_imagenet.py'
model = dict(frozen_student='checkpoints/teacher_resnet34_imagenet.pth')
