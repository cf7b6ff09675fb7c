# Ours: ASRFP that takes the same channels from all layers that add up.
_base_ = 'cpu_asrfp_resnet20_p30_cifar100.py'
default_hooks = dict(pruning=dict(coupled=True, input_shape=(3, 32, 32)))
