# Cityscapes with crops of 1024x1024, for SegFormer.
_base_ = 'cityscapes_512x1024.py'
crop_size = (1024, 1024)  # height, width
data_preprocessor = dict(size=crop_size)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='mmkd.RandomDiscreteScale', to_float32=True),  # 0.5, 0.6 .. 2
    dict(
        type='Pad',
        size=crop_size,
        pad_val=dict(img=_base_.data_preprocessor.mean, seg=255),
    ),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=1.0),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
