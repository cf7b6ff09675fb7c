# SSKD, 25 % of the training images (the teacher saw all).
_base_ = '../cls_baselines/sskd_resnet56_resnet20_cifar100.py'
train_dataloader = dict(dataset=dict(fraction=0.25))
optim_wrapper = dict(optimizer=dict(nesterov=True))
