# BirdBackbone learns from a wider one; run by mmseg's own train.py.
default_scope = 'mmseg'
custom_imports = dict(imports=['mmkd', 'birdnet'], allow_failed_imports=False)

scenes = dict(
    type='mmkd.SyntheticSegDataset',
    pipeline=[
        dict(type='mmkd.LoadScene'),
        dict(type='mmkd.LoadSceneSegMap'),
        dict(
            type='PackSegInputs',
            meta_keys=('sample_idx', 'ori_shape', 'img_shape', 'pad_shape'),
        ),
    ],
)
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(split='train', num_samples=16, **scenes),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(split='val', num_samples=4, **scenes),
)
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=4, val_interval=4)
val_cfg = dict()
default_hooks = dict(
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=4)
)
log_processor = dict(by_epoch=False)
randomness = dict(seed=0)

student = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[127.5, 127.5, 127.5],
        std=[64.0, 64.0, 64.0],
        bgr_to_rgb=True,
        size_divisor=8,
        test_cfg=dict(size_divisor=8),
    ),
    backbone=dict(type='birdnet.BirdBackbone', width=4),
    decode_head=dict(
        type='FCNHead',
        in_channels=16,
        in_index=0,
        channels=16,
        num_convs=1,
        num_classes=8,
        norm_cfg=dict(type='BN'),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
teacher = dict(
    student,
    backbone=dict(type='birdnet.BirdBackbone', width=16),
    decode_head=dict(student['decode_head'], in_channels=64, channels=32),
)
model = dict(
    type='mmkd.OfflineDistiller',
    student=student,
    teacher=dict(config=teacher, checkpoint=None),  # your trained one
    taps=dict(
        feats='decode_head.conv_seg:input', logits='decode_head.conv_seg'
    ),
    losses=dict(
        kd=dict(type='mmkd.KLDivLoss', on='logits', temperature=1.0),
        minibatch=dict(type='mmkd.MiniBatchPixelRelationLoss', on='feats'),
    ),
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
