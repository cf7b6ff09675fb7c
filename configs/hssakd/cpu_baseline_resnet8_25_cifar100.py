# The student alone.
_base_ = '../cls_baselines/cpu_baseline_resnet8_25_cifar100.py'
