# A narrow HRNet from scratch: the teacher of the distillation configs.
_base_ = [
    '../_base_/datasets/lspet_128x96.py',
    '../_base_/models/pose_hrnet_w12.py',
    '../_base_/schedules/cpu_pose_1500.py',
    '../_base_/pose_runtime.py',
]
model = dict(head=dict(decoder=_base_.codec))
max_iters = 3000
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, end=100, by_epoch=False),
    dict(type='PolyLR', power=0.9, begin=100, end=max_iters, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters, val_interval=300)
default_hooks = dict(checkpoint=dict(interval=300))
