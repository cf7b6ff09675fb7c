# Teacher, as cpu_teacher_frozen_*; its branches learn from all images.
_base_ = 'cpu_teacher_frozen_resnet20_cifar100.py'
train_dataloader = dict(dataset=dict(fraction=1.0))
