# A deeper and wider RetinaNet, trained longer: the teacher.
_base_ = 'cpu_baseline_retinanet_coco_small.py'
model = dict(
    backbone=dict(depth=34, stem_channels=24, base_channels=24),
    neck=dict(in_channels=[24, 48, 96, 192]),
)
max_iters = 1200
val_interval = 300
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, end=100, by_epoch=False),
    dict(type='PolyLR', power=0.9, begin=100, end=max_iters, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters, val_interval=val_interval)
default_hooks = dict(checkpoint=dict(interval=val_interval))
