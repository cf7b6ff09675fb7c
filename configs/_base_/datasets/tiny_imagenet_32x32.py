# TinyImageNet at 32x32, for tools/linear_eval.py: 100 000 training and
# 10 000 validation images. Resized by Pillow, whose bilinear filter averages
# when it shrinks.
data_root = '{{$MMKD_DATA:data}}/tiny-imagenet-200'
data_preprocessor = dict(
    num_classes=200,
    mean=[123.675, 116.28, 103.53],  # RGB
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)
pack = dict(type='PackInputs', meta_keys=('sample_idx',))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomResizedCrop', scale=32, backend='pillow'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    pack,
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(32, 32), backend='pillow'),
    pack,
]
loader = dict(
    batch_size=250,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
)
dataset = dict(type='mmkd.TinyImageNet', data_root=data_root)
train_dataloader = dict(
    dataset=dict(split='train', pipeline=train_pipeline, **dataset), **loader
)
test_dataloader = dict(
    dataset=dict(split='val', pipeline=test_pipeline, **dataset), **loader
)
del pack, loader, dataset
