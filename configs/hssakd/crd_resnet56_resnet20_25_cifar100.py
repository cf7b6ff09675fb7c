# CRD, 25 % of the training images (the teacher saw all).
_base_ = '../cls_baselines/crd_resnet56_resnet20_cifar100.py'
train_dataloader = dict(dataset=dict(fraction=0.25))
optim_wrapper = dict(optimizer=dict(nesterov=True))
# fewer than the 16384 negatives: some are drawn twice
model = dict(losses=dict(crd=dict(num_samples=12500, replacement=True)))
