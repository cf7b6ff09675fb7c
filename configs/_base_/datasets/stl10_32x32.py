# STL-10 at 32x32, for tools/linear_eval.py: 5000 training and 8000 test
# images. Resized by Pillow, whose bilinear filter averages when it shrinks.
data_root = '{{$MMKD_DATA:data}}/stl10_binary'
data_preprocessor = dict(
    num_classes=10, mean=[127.5] * 3, std=[127.5] * 3, to_rgb=False
)
pack = dict(type='PackInputs', meta_keys=('sample_idx',))
train_pipeline = [
    dict(type='RandomResizedCrop', scale=32, backend='pillow'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    pack,
]
test_pipeline = [
    dict(type='Resize', scale=(32, 32), backend='pillow'),
    pack,
]
loader = dict(
    batch_size=250,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
)
dataset = dict(type='mmkd.STL10', data_root=data_root)
train_dataloader = dict(
    dataset=dict(split='train', pipeline=train_pipeline, **dataset), **loader
)
test_dataloader = dict(
    dataset=dict(split='test', pipeline=test_pipeline, **dataset), **loader
)
del pack, loader, dataset
