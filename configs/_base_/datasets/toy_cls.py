# Synthetic scenes of 7 classes, drawn when first needed: no files.
num_classes = 7
data_preprocessor = dict(
    type='mmkd.BatchAugmentPreprocessor',
    num_classes=num_classes,
    mean=[127.5, 127.5, 127.5],
    std=[64.0, 64.0, 64.0],
    to_rgb=True,
    crop_padding=4,
    flip_prob=0.5,
)
pipeline = [
    dict(type='mmkd.LoadScene'),
    dict(type='PackInputs', meta_keys=('sample_idx',)),
]
scenes = dict(
    type='mmkd.SyntheticClsDataset',
    size=(32, 32),
    num_objects=1,
    clutter=0.0,
    pipeline=pipeline,
)
batch_size = 28
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=0,
    persistent_workers=False,
    # 4 images of each class in every batch
    sampler=dict(
        type='mmkd.ClassAwareSampler',
        batch_size=batch_size,
        samples_per_class=4,
    ),
    collate_fn=dict(type='default_collate'),
    dataset=dict(split='train', num_samples=2800, **scenes),
)
val_dataloader = dict(
    batch_size=100,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(split='test', num_samples=400, test_mode=True, **scenes),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='Accuracy', topk=(1,))
test_evaluator = val_evaluator
