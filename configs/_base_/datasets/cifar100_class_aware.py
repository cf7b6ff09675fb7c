# CIFAR-100 in batches of 64 classes with 2 images each (MCL). The sampler
# needs the batch size, too: change both together.
_base_ = 'cifar100.py'
batch_size = 128
train_dataloader = dict(
    batch_size=batch_size,
    sampler=dict(
        _delete_=True,
        type='mmkd.ClassAwareSampler',
        batch_size=batch_size,
        samples_per_class=2,
    ),
)
