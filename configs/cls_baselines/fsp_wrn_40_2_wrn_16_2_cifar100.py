# FSP, second phase: WRN-16-2 alone, from weights of the first phase.
_base_ = 'baseline_wrn_16_2_cifar100.py'
load_from = 'work_dirs/fsp_init_wrn_40_2_wrn_16_2_cifar100/student.pth'
