_base_ = 'srfp_resnet34_p30_imagenet.py'
default_hooks = dict(pruning=dict(pruning_rate=0.4))
