# BirdBackbone learns from a wider one; run by mmpretrain's own train.py.
default_scope = 'mmpretrain'
custom_imports = dict(imports=['mmkd', 'birdnet'], allow_failed_imports=False)

scenes = dict(
    type='mmkd.SyntheticClsDataset',
    pipeline=[
        dict(type='mmkd.LoadScene'),
        dict(type='PackInputs', meta_keys=('sample_idx', 'img_shape')),
    ],
)
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,  # mmpretrain's train.py asks for them
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(split='train', num_samples=32, **scenes),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,  # mmpretrain's train.py asks for them
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(split='val', num_samples=16, **scenes),
)
val_evaluator = dict(type='Accuracy', topk=(1,))
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9))
train_cfg = dict(by_epoch=True, max_epochs=1)
val_cfg = dict()
randomness = dict(seed=0)

student = dict(
    type='ImageClassifier',
    data_preprocessor=dict(
        type='ClsDataPreprocessor',
        num_classes=7,
        mean=[127.5, 127.5, 127.5],
        std=[64.0, 64.0, 64.0],
        to_rgb=True,
    ),
    backbone=dict(type='birdnet.BirdBackbone', width=4),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=7, in_channels=16),
)
teacher = dict(
    student,
    backbone=dict(type='birdnet.BirdBackbone', width=16),
    head=dict(type='LinearClsHead', num_classes=7, in_channels=64),
)
model = dict(
    type='mmkd.OfflineDistiller',
    student=student,
    teacher=dict(config=teacher, checkpoint=None),  # your trained one
    taps=dict(logits='head.fc'),
    losses=dict(kd=dict(type='mmkd.KLDivLoss', on='logits', temperature=4.0)),
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
