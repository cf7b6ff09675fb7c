# PCL on ImageNet, three peers of one trunk (stages 1 to 3), a view each.
_base_ = [
    '../mcl/baseline_resnet18_imagenet.py',
    '../_base_/methods/pcl.py',
]
data_preprocessor = dict(type='mmkd.MultiViewPreprocessor')
augment = [
    dict(type='RandomResizedCrop', scale=224),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiView', num_views=[3], transforms=[augment]),
    dict(type='PackInputs', meta_keys=('sample_idx', 'img_path')),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
model = dict(
    _delete_=True,
    cohort=dict(peers=[_base_.model] * 3, **_base_.cohort),
    **_base_.method,
)
model['cohort']['shared'] = ['stem', 'stage1', 'stage2', 'stage3']
model['input_shape'] = (3, 224, 224)
val_evaluator = [
    dict(type='mmkd.PeerMetric', metric=_base_.val_evaluator),
    dict(type='mmkd.PeerDistance'),
]
