# Weight pruning: 30 % of the single weights, softly as in SFP.
_base_ = 'cpu_sfp_resnet20_p30_cifar100.py'
default_hooks = dict(pruning=dict(granularity='weight', mask_bn=False))
