# HSAKD, 75 % of the training images (the teacher saw all).
_base_ = 'hsakd_resnet56_resnet20_cifar100.py'
train_dataloader = dict(dataset=dict(fraction=0.75))
