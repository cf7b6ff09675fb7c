# AB, second phase: VGG-8 alone, from weights of the first phase.
_base_ = 'baseline_vgg8_cifar100.py'
load_from = 'work_dirs/ab_init_resnet50_vgg8_cifar100/student.pth'
