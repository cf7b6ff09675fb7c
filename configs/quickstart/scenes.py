"""Data, schedule and runtime that the three quickstart configs share."""

default_scope = 'mmseg'
crop = (96, 96)
batch_size = 8
max_iters = 600

# Data: synthetic scenes, drawn when first needed and kept in memory.
train_pipeline = [
    dict(type='mmkd.LoadScene'),
    dict(type='mmkd.LoadSceneSegMap'),
    dict(type='RandomFlip', prob=0.5),
    dict(
        type='PackSegInputs',
        meta_keys=('sample_idx', 'ori_shape', 'img_shape', 'pad_shape'),
    ),
]
test_pipeline = [
    dict(type='mmkd.LoadScene'),
    dict(type='mmkd.LoadSceneSegMap'),
    dict(
        type='PackSegInputs',
        meta_keys=('sample_idx', 'ori_shape', 'img_shape', 'pad_shape'),
    ),
]
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='mmkd.SyntheticSegDataset',
        num_samples=600,
        size=crop,
        split='train',
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=20,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmkd.SyntheticSegDataset',
        num_samples=200,
        size=crop,
        split='val',
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = dict(
    batch_size=20,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmkd.SyntheticSegDataset',
        num_samples=200,
        size=crop,
        split='test',
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator

# Schedule: the same for all three networks.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=0.003, weight_decay=0.01),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=30),
    dict(type='PolyLR', power=0.9, eta_min=0.0, by_epoch=False, end=max_iters),
]
train_cfg = dict(
    type='IterBasedTrainLoop', max_iters=max_iters, val_interval=100
)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

# Runtime.
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=20, log_metric_by_epoch=False),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=max_iters),
)
log_processor = dict(by_epoch=False, window_size=20)
randomness = dict(seed=0)
env_cfg = dict(cudnn_benchmark=False)
