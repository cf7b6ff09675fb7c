# SSKD, first phase, as cpu_sskd_teacher_*; the head learns from all images.
_base_ = 'cpu_sskd_teacher_resnet20_cifar100.py'
train_dataloader = dict(dataset=dict(fraction=1.0))
