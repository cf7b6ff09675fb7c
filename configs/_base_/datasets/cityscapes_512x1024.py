# Cityscapes as in CIRKD: 2975 training and 500 validation images of
# 1024x2048, 19 classes, crops of 512x1024; labels as mmseg's converter
# (`gtFine/*_labelTrainIds.png`) writes them.
dataset_type = 'CityscapesDataset'
data_root = '{{$MMKD_DATA:data}}/cityscapes'
crop_size = (512, 1024)  # height, width

# BGR, mean subtraction, no division. The padding is the mean, hence 0 after
# the subtraction; for that the image is float32 when it is padded.
mean = (104.00698793, 116.66876762, 122.67891434)
data_preprocessor = dict(
    type='SegDataPreProcessor',
    _scope_='mmseg',
    mean=mean,
    std=(1.0, 1.0, 1.0),
    bgr_to_rgb=False,
    size=crop_size,
    pad_val=0,
    seg_pad_val=255,
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='mmkd.RandomDiscreteScale', to_float32=True),  # 0.5, 0.6 .. 2
    dict(type='Pad', size=crop_size[::-1], pad_val=dict(img=mean, seg=255)),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=1.0),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=2,  # on 8 GPUs
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(
            img_path='leftImg8bit/train', seg_map_path='gtFine/train'
        ),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(
            img_path='leftImg8bit/val', seg_map_path='gtFine/val'
        ),
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = val_dataloader

# A class that never occurs counts as 0, as in the published evaluation;
# mIoU_present leaves it out.
val_evaluator = dict(
    type='mmkd.BothMeansIoUMetric', iou_metrics=['mIoU'], nan_to_num=0
)
test_evaluator = val_evaluator
