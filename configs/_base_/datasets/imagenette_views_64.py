# Two views of each image of Imagenette at 64x64, without labels.
dataset_type = 'CustomDataset'
data_root = '{{$MMKD_DATA:data}}/imagenette'
data_preprocessor = dict(
    type='mmkd.MultiViewPreprocessor',
    mean=[123.675, 116.28, 103.53],  # RGB
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)
# torchvision's transforms, as the authors use
view_pipeline = [
    dict(type='torchvision/RandomResizedCrop', size=64, scale=(0.2, 1.0)),
    dict(
        type='RandomApply',
        prob=0.8,
        transforms=[
            dict(
                type='torchvision/ColorJitter',
                brightness=0.4,
                contrast=0.4,
                saturation=0.4,
                hue=0.1,
            )
        ],
    ),
    dict(type='torchvision/RandomGrayscale', p=0.2),
    dict(type='torchvision/RandomHorizontalFlip'),
    dict(type='PILToNumpy', to_bgr=True),
]
train_pipeline = [
    dict(
        type='mmkd.CachedTransforms',
        transforms=[
            dict(type='LoadImageFromFile'),
            dict(
                type='ResizeEdge', scale=80, edge='short', interpolation='area'
            ),
            dict(type='NumpyToPIL', to_rgb=True),
        ],
    ),
    dict(type='MultiView', num_views=[2], transforms=[view_pipeline]),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    persistent_workers=False,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix='train',
        with_label=False,
        pipeline=train_pipeline,
    ),
)
