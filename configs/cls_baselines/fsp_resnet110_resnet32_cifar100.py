# FSP, second phase: ResNet-32 alone, from weights of the first phase.
_base_ = 'baseline_resnet32_cifar100.py'
load_from = 'work_dirs/fsp_init_resnet110_resnet32_cifar100/student.pth'
