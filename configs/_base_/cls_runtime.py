# What all classification configs share; one line of log per epoch or so.
_base_ = 'default_runtime.py'
default_scope = 'mmpretrain'
visualizer = dict(
    type='UniversalVisualizer',
    vis_backends=[dict(type='LocalVisBackend')],
    name='visualizer',
)
log_processor = dict(by_epoch=True)
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=100),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='CheckpointHook',
        interval=1,
        max_keep_ckpts=1,
        save_best='accuracy/top1',
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    step_seed=dict(type='mmkd.StepSeedHook'),
)
