# Imagenette (10 classes of ImageNet) at 128x128 for one CPU core. Every fifth
# training image is held out: thresholds are searched on these. Normalised as
# EfficientNet-Lite0 was trained.
_base_ = 'imagenette_64.py'
data_preprocessor = dict(
    type='mmkd.BatchAugmentPreprocessor',
    crop_padding=0,
    flip_prob=0.0,
    channels_last=True,
    mean=[127.0, 127.0, 127.0],
    std=[128.0, 128.0, 128.0],
)
small = dict(
    type='mmkd.CachedTransforms',
    transforms=[
        dict(type='LoadImageFromFile'),
        dict(type='ResizeEdge', scale=144, edge='short', interpolation='area'),
    ],
)
train_pipeline = [
    small,
    dict(type='RandomResizedCrop', scale=128, crop_ratio_range=(0.25, 1.0)),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
test_pipeline = [
    small,
    dict(type='CenterCrop', crop_size=128),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=32,
    dataset=dict(
        indices=[k for k in range(1000) if k % 5], pipeline=train_pipeline
    ),
)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
holdout_dataloader = dict(
    batch_size=100,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type=_base_.dataset_type,
        data_root=_base_.data_root,
        data_prefix='train',
        indices=list(range(0, 1000, 5)),
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
del small
