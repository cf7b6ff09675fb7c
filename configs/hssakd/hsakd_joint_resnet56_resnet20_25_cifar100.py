# HSAKD*, 25 % of the training images (the teacher saw all).
_base_ = 'hsakd_joint_resnet56_resnet20_cifar100.py'
train_dataloader = dict(dataset=dict(fraction=0.25))
