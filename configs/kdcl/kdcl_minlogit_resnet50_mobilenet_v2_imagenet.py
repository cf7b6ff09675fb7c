# KDCL-MinLogit, ResNet-50 and MobileNetV2, an augmentation each. The schedule
# is that of our other ImageNet configs; the published one is not known to us.
_base_ = [
    'kdcl_baseline_resnet50_imagenet.py',
    '../_base_/methods/kdcl.py',
]
data_preprocessor = dict(type='mmkd.MultiViewPreprocessor')
augment = [
    dict(type='RandomResizedCrop', scale=224, backend='pillow'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
]
train_pipeline = [
    dict(type='LoadImageFromFile', imdecode_backend='pillow'),
    dict(type='MultiView', num_views=[2], transforms=[augment]),
    dict(type='PackInputs', meta_keys=('sample_idx', 'img_path')),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
second = dict(config='mmkd::kdcl/kdcl_baseline_mobilenet_v2_imagenet.py')
model = dict(
    _delete_=True,
    cohort=dict(peers=[_base_.model, second], **_base_.cohort),
    **_base_.method,
)
model['exchange']['target'] = 'minlogit'
model['input_shape'] = (3, 224, 224)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
