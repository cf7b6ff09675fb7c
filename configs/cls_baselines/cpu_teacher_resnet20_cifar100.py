# ResNet-20, the teacher: short schedule for one CPU core.
_base_ = '../dml/cpu_baseline_resnet8_cifar100.py'
model = dict(backbone=dict(depth=20))
