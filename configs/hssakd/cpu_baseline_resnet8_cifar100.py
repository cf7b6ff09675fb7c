# The student alone.
_base_ = '../dml/cpu_baseline_resnet8_cifar100.py'
