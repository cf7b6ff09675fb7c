# AB, second phase: ResNet-32 alone, from weights of the first phase.
_base_ = 'baseline_resnet32_cifar100.py'
load_from = 'work_dirs/ab_init_resnet110_resnet32_cifar100/student.pth'
