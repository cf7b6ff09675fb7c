# FSP, second phase: ResNet-8x4 alone, from weights of the first phase.
_base_ = 'baseline_resnet8x4_cifar100.py'
load_from = 'work_dirs/fsp_init_resnet32x4_resnet8x4_cifar100/student.pth'
