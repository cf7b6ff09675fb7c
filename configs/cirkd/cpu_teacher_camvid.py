# The teacher: twice the student's width and a longer schedule.
_base_ = 'cpu_baseline_camvid.py'
model = dict(
    backbone=dict(stem_channels=32, base_channels=32),
    decode_head=dict(in_channels=256, channels=64),
)
max_iters = 3500
val_interval = max_iters // 10
train_cfg = dict(max_iters=max_iters, val_interval=val_interval)
param_scheduler = [
    dict(
        type='PolyLR',
        power=0.9,
        eta_min=0.0,
        begin=0,
        end=max_iters,
        by_epoch=False,
    )
]
default_hooks = dict(checkpoint=dict(interval=val_interval))
