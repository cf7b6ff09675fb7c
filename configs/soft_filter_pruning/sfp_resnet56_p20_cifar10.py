_base_ = 'sfp_resnet56_p30_cifar10.py'
default_hooks = dict(pruning=dict(pruning_rate=0.2))
