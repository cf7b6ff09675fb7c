# DINOv2 (ViT-S/14 of timm) teaches ResNet-50 on a folder of images, without
# labels: DATA names the folder. The student's backbone may be that of any of
# the four repositories: type='mmdet.ResNet', 'mmpose.HRNet', ...
_base_ = [
    '../_base_/methods/feature_distillation.py',
    '../_base_/ssl_runtime.py',
]
data_preprocessor = dict(
    type='ClsDataPreprocessor',
    mean=[123.675, 116.28, 103.53],  # RGB
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)
student = dict(
    type='ImageClassifier',
    _scope_='mmpretrain',
    backbone=dict(type='ResNet', depth=50, out_indices=(3,)),
)
model = dict(
    type='mmkd.OfflineDistiller',
    student=student,
    teacher=dict(
        type='mmkd.FeatureTeacher',
        model='timm:vit_small_patch14_dinov2.lvd142m',
        size=224,
        dtype='bfloat16',
    ),
    taps=_base_.taps,
    losses=dict(
        dense=_base_.dense, whole=_base_.whole, classes=_base_.classes
    ),
    input_shape=(3, 224, 224),
)
train_dataloader = dict(
    batch_size=128,
    num_workers=8,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='CustomDataset',
        data_root='{{$DATA:data/photos}}',
        with_label=False,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(
                type='RandomResizedCrop',
                scale=224,
                crop_ratio_range=(0.4, 1.0),
            ),
            dict(type='RandomFlip', prob=0.5, direction='horizontal'),
            dict(type='PackInputs', meta_keys=()),
        ],
    ),
)
max_epochs = 100
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
)
param_scheduler = dict(
    type='CosineAnnealingLR', T_max=max_epochs, by_epoch=True
)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs)
