# CIFAR-100. Whole batches are cropped, flipped and normalised by the data
# preprocessor, with the distribution of mmpretrain's RandomCrop(32,
# padding=4) and RandomFlip(0.5). Data loading then costs so little that
# worker processes would only slow it down.
dataset_type = 'mmkd.CIFAR100'
data_root = '{{$MMKD_DATA:data}}/cifar100'
num_classes = 100
data_preprocessor = dict(
    type='mmkd.BatchAugmentPreprocessor',
    num_classes=num_classes,
    mean=[0.5071 * 255, 0.4867 * 255, 0.4408 * 255],  # RGB
    std=[0.2675 * 255, 0.2565 * 255, 0.2761 * 255],
    to_rgb=False,  # the images are RGB already
    crop_padding=4,
    flip_prob=0.5,
)
dataset = dict(
    type=dataset_type,
    data_root=data_root,
    batched=True,
    check_hash=False,  # re-packed files are welcome
)
train_dataloader = dict(
    batch_size=128,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(split='train', **dataset),
)
val_dataloader = dict(
    batch_size=500,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(split='test', test_mode=True, **dataset),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='Accuracy', topk=(1, 5))
test_evaluator = val_evaluator
del dataset
