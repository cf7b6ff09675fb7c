# The same, from the trained network, at a tenth of the learning rate.
_base_ = 'asrfp_resnet110_p30_cifar10.py'
load_from = 'work_dirs/baseline_resnet110_cifar10/epoch_200.pth'
optim_wrapper = dict(optimizer=dict(lr=0.01))
