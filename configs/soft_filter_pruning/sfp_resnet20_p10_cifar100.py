_base_ = 'sfp_resnet20_p30_cifar100.py'
default_hooks = dict(pruning=dict(pruning_rate=0.1))
