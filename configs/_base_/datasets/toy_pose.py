# Synthetic scenes with a stick figure of 14 joints: no files.
codec = dict(
    type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1
)
scenes = dict(
    type='mmkd.SyntheticPoseDataset',
    size=(64, 64),
    num_objects=2,
    clutter=0.25,
)
train_pipeline = [
    dict(type='mmkd.LoadScene'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs'),
]
val_pipeline = [
    dict(type='mmkd.LoadScene'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='PackPoseInputs'),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        num_samples=480, split='train', pipeline=train_pipeline, **scenes
    ),
)
val_dataloader = dict(
    batch_size=50,
    num_workers=0,
    persistent_workers=False,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        num_samples=100,
        split='val',
        test_mode=True,
        pipeline=val_pipeline,
        **scenes,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='PCKAccuracy', thr=0.1, norm_item='bbox')
test_evaluator = val_evaluator
