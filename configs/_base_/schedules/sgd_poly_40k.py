# 40k iterations with 16 images each: SGD with weight decay on all parameters,
# lr = 0.02 (1 - t / 40000)^0.9. A validation every 800 iterations; the best
# checkpoint on the validation set is the result.
max_iters = 40000
val_interval = 800
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=1e-4),
    clip_grad=None,
)
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
train_cfg = dict(
    type='mmkd.ResumableIterBasedTrainLoop',
    max_iters=max_iters,
    val_interval=val_interval,
)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='CheckpointHook',
        by_epoch=False,
        interval=val_interval,
        save_best='mIoU',
        max_keep_ckpts=2,  # the older one goes before the newer is written
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    step_seed=dict(type='mmkd.StepSeedHook'),  # resuming is exact
)
sync_bn = 'torch'  # in distributed runs: the student's BN becomes SyncBN
auto_scale_lr = dict(enable=False, base_batch_size=16)
