# OKDHP's: Adam without weight decay, 150 epochs of batches of 16 on one GPU.
_base_ = '../pose_runtime.py'
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='Adam', lr=2.5e-4)
)
param_scheduler = [
    dict(
        type='MultiStepLR',
        milestones=[90, 120],
        gamma=0.1,
        by_epoch=True,
    ),
]
train_cfg = dict(by_epoch=True, max_epochs=150, val_interval=1)
val_cfg = dict()
test_cfg = dict()
log_processor = dict(by_epoch=True)
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=100),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='CheckpointHook',
        interval=1,
        max_keep_ckpts=1,
        save_best='PCK',
        rule='greater',
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    step_seed=dict(type='mmkd.StepSeedHook'),
)
auto_scale_lr = dict(base_batch_size=16)
