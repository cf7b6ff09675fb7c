# HSAKD, Teacher: branches of an ordinary ResNet-50, which rests. 100 epochs.
_base_ = 'teacher_joint_resnet50_cifar100.py'
model = dict(frozen_student='checkpoints/teacher_resnet50_cifar100.pth')
param_scheduler = dict(milestones=[30, 60, 90])
train_cfg = dict(max_epochs=100)
default_hooks = dict(checkpoint=dict(save_best=None))  # top-1 rests
