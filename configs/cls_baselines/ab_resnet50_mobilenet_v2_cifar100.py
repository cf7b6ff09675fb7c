# AB, second phase: MobileNetV2 alone, from weights of the first phase.
_base_ = 'baseline_mobilenet_v2_cifar100.py'
load_from = 'work_dirs/ab_init_resnet50_mobilenet_v2_cifar100/student.pth'
