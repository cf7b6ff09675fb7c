# CamVid (11 classes, SegNet split) at a third of its size, for one CPU core.
# Images are resized to 120x160 once and kept in memory; the networks are
# evaluated against the labels at 360x480.
dataset_type = 'mmkd.CamVidDataset'
data_root = '{{$MMKD_DATA:data}}/camvid'
scale = (160, 120)  # width, height
crop_size = (120, 120)  # height, width

mean = (104.00698793, 116.66876762, 122.67891434)  # BGR
std = (57.375, 57.12, 58.395)
data_preprocessor = dict(
    type='SegDataPreProcessor',
    _scope_='mmseg',
    mean=mean,
    std=std,
    bgr_to_rgb=False,
    size=crop_size,
    pad_val=0,
    seg_pad_val=255,
)

resize = dict(
    type='Resize', scale=scale, keep_ratio=False, interpolation='area'
)
train_pipeline = [
    dict(
        type='mmkd.CachedTransforms',
        transforms=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            resize,
        ],
    ),
    dict(type='mmkd.RandomDiscreteScale', to_float32=True),
    dict(type='Pad', size=crop_size[::-1], pad_val=dict(img=mean, seg=255)),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=1.0),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(
        type='mmkd.CachedTransforms',
        transforms=[
            dict(type='LoadImageFromFile'),
            resize,
            dict(type='LoadAnnotations'),
        ],
    ),
    dict(type='PackSegInputs'),
]

train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(
            img_path='images/train', seg_map_path='annotations/train'
        ),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(
            img_path='images/val', seg_map_path='annotations/val'
        ),
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(
            img_path='images/test', seg_map_path='annotations/test'
        ),
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
