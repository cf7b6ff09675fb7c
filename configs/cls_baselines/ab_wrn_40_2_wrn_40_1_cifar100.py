# AB, second phase: WRN-40-1 alone, from weights of the first phase.
_base_ = 'baseline_wrn_40_1_cifar100.py'
load_from = 'work_dirs/ab_init_wrn_40_2_wrn_40_1_cifar100/student.pth'
