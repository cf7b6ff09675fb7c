# Images of Imagenette and of CIFAR-100 at 64x64, without their labels.
data_root = '{{$MMKD_DATA:data}}'
data_preprocessor = dict(
    type='ClsDataPreprocessor',
    mean=[123.675, 116.28, 103.53],  # RGB
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)
augment = [
    dict(type='RandomResizedCrop', scale=64, crop_ratio_range=(0.4, 1.0)),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs', meta_keys=()),
]
photos = dict(
    type='CustomDataset',
    data_root=data_root + '/imagenette',
    data_prefix='train',
    with_label=False,
    pipeline=[
        dict(
            type='mmkd.CachedTransforms',
            transforms=[
                dict(type='LoadImageFromFile'),
                dict(
                    type='ResizeEdge',
                    scale=80,
                    edge='short',
                    interpolation='area',
                ),
            ],
        ),
        *augment,
    ],
)
small = dict(
    type='mmkd.CIFAR100',
    data_root=data_root + '/cifar100',
    split='train',
    fraction=0.04,
    pipeline=[dict(type='mmkd.DropKeys', keys=['gt_label']), *augment],
)
train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    persistent_workers=False,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='ConcatDataset',
        ignore_keys=['classes', 'dataset_type'],  # labels are not read
        datasets=[photos, small],
    ),
)
val_dataloader = None
val_evaluator = None
test_dataloader = None
test_evaluator = None
