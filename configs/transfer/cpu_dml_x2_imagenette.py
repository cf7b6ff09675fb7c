# Two narrow ResNet-18 learn from each other (DML) on Imagenette at 64x64, 3
# epochs: a backbone to transfer, for one CPU core.
_base_ = [
    '../_base_/models/resnet18_narrow.py',
    '../_base_/methods/dml.py',
    '../_base_/schedules/cpu_cifar_20e.py',
    '../_base_/cls_runtime.py',
]
max_epochs = 3
param_scheduler = dict(T_max=max_epochs)
train_cfg = dict(max_epochs=max_epochs, val_interval=1)
model = dict(
    _delete_=True,
    cohort=dict(peers=[_base_.model] * 2, **_base_.cohort),
    **_base_.method,
)
model['input_shape'] = (3, 64, 64)
data_preprocessor = dict(
    type='ClsDataPreprocessor',
    num_classes=10,
    mean=[123.675, 116.28, 103.53],  # RGB
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)
small = dict(
    type='mmkd.CachedTransforms',
    transforms=[
        dict(type='LoadImageFromFile'),
        dict(type='ResizeEdge', scale=72, edge='short', interpolation='area'),
    ],
)
train_pipeline = [
    small,
    dict(type='RandomCrop', crop_size=64),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
test_pipeline = [
    small,
    dict(type='CenterCrop', crop_size=64),
    dict(type='PackInputs'),
]
dataset = dict(
    type='CustomDataset', data_root='{{$MMKD_DATA:data}}/imagenette'
)
train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(data_prefix='train', pipeline=train_pipeline, **dataset),
)
val_dataloader = dict(
    batch_size=100,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        data_prefix='val', test_mode=True, pipeline=test_pipeline, **dataset
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(
    type='mmkd.PeerMetric', metric=dict(type='Accuracy', topk=(1,))
)
test_evaluator = val_evaluator
del dataset, small
