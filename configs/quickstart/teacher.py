# The teacher: three times as wide and trained a little longer.
_base_ = 'student.py'
model = dict(
    backbone=dict(stem_channels=24, base_channels=24),
    decode_head=dict(in_channels=192, channels=64),
)
max_iters = 700
train_cfg = dict(max_iters=max_iters, val_interval=140)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=30),
    dict(type='PolyLR', power=0.9, eta_min=0.0, by_epoch=False, end=max_iters),
]
default_hooks = dict(checkpoint=dict(interval=max_iters))
