# The same, from the trained network, at a tenth of the learning rate.
_base_ = 'sfp_resnet110_p30_cifar100.py'
load_from = 'work_dirs/baseline_resnet110_cifar100/epoch_200.pth'
optim_wrapper = dict(optimizer=dict(lr=0.01))
