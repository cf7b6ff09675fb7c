# AB, second phase: ResNet-20 alone, from weights of the first phase.
_base_ = 'baseline_resnet20_cifar100.py'
load_from = 'work_dirs/ab_init_resnet56_resnet20_cifar100/student.pth'
