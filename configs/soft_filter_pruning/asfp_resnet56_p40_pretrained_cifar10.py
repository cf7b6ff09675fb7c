# The same, from the trained network, at a tenth of the learning rate.
_base_ = 'asfp_resnet56_p40_cifar10.py'
load_from = 'work_dirs/baseline_resnet56_cifar10/epoch_200.pth'
optim_wrapper = dict(optimizer=dict(lr=0.01))
