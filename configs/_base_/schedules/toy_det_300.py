# Some minutes on one CPU core.
_base_ = 'cpu_det_300.py'
val_interval = 100
train_cfg = dict(val_interval=val_interval)
default_hooks = dict(checkpoint=dict(interval=val_interval))
