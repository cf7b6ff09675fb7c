# FSP, second phase: VGG-8 alone, from weights of the first phase.
_base_ = 'baseline_vgg8_cifar100.py'
load_from = 'work_dirs/fsp_init_vgg13_vgg8_cifar100/student.pth'
