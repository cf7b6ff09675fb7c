# Synthetic scenes with boxes of seven classes: no files.
scenes = dict(
    type='mmkd.SyntheticDetDataset',
    size=(96, 128),
    num_objects=3,
    clutter=0.25,
)
train_pipeline = [
    dict(type='mmkd.LoadScene'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale_factor=1.0),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
val_pipeline = [
    dict(type='mmkd.LoadScene'),
    dict(type='Resize', scale_factor=1.0),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        meta_keys=(
            'img_id',
            'ori_shape',
            'img_shape',
            'scale_factor',
            'instances',  # the truth, in place of a file of annotations
        ),
    ),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        num_samples=480, split='train', pipeline=train_pipeline, **scenes
    ),
)
val_dataloader = dict(
    batch_size=10,
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
val_evaluator = dict(type='CocoMetric', metric='bbox')
test_evaluator = val_evaluator
num_classes = 7
