# CRD, 75 % of the training images (the teacher saw all).
_base_ = '../cls_baselines/crd_resnet56_resnet20_cifar100.py'
train_dataloader = dict(dataset=dict(fraction=0.75))
optim_wrapper = dict(optimizer=dict(nesterov=True))
model = dict(losses=dict(crd=dict(num_samples=37500)))
