# The teacher's network alone.
_base_ = '../cls_baselines/cpu_teacher_resnet20_cifar100.py'
