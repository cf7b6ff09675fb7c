# AB, second phase: ShuffleNetV1 alone, from weights of the first phase.
_base_ = 'baseline_shufflenet_v1_cifar100.py'
load_from = 'work_dirs/ab_init_resnet32x4_shufflenet_v1_cifar100/student.pth'
