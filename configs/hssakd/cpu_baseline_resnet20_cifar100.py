# The teacher's network alone.
_base_ = 'cpu_baseline_resnet8_cifar100.py'
model = dict(backbone=dict(depth=20))
