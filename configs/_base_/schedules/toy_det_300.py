# Some minutes on one CPU core.
_base_ = 'cpu_det_300.py'
max_iters = 300
val_interval = 100
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, end=100, by_epoch=False),
    dict(type='PolyLR', power=0.9, begin=100, end=max_iters, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters, val_interval=val_interval)
default_hooks = dict(checkpoint=dict(interval=val_interval))
