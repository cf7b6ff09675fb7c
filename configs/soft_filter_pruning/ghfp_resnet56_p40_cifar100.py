_base_ = 'ghfp_resnet56_p30_cifar100.py'
default_hooks = dict(pruning=dict(pruning_rate=0.4))
