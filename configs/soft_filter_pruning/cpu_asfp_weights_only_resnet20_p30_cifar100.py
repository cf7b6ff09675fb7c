# ASFP as published: batch norms are left as they are.
_base_ = 'cpu_asfp_resnet20_p30_cifar100.py'
default_hooks = dict(pruning=dict(mask_bn=False))
