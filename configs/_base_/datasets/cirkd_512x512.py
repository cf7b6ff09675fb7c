# What the 512x512 data sets of CIRKD share: scale factors 0.5, 0.6 .. 2,
# uniform crops, mirror; BGR, mean subtraction, no division. Images are
# evaluated at their own size.
crop_size = (512, 512)  # height, width
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
augmentation = [
    dict(type='mmkd.RandomDiscreteScale', to_float32=True),
    dict(type='Pad', size=crop_size[::-1], pad_val=dict(img=mean, seg=255)),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=1.0),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=2,  # on 8 GPUs
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
)
# A class that never occurs counts as 0, as in the published evaluation;
# mIoU_present leaves it out.
val_evaluator = dict(
    type='mmkd.BothMeansIoUMetric', iou_metrics=['mIoU'], nan_to_num=0
)
test_evaluator = val_evaluator
