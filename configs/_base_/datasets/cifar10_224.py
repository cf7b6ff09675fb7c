# CIFAR-10, enlarged to 224x224; crops as before, 4 pixels of the original.
_base_ = 'cifar10.py'
data_preprocessor = dict(crop_padding=28)
pipeline = [
    dict(type='Resize', scale=224),
    dict(type='PackInputs', meta_keys=('sample_idx',)),
]
dataset = dict(batched=False, pipeline=pipeline)
train_dataloader = dict(
    num_workers=8, persistent_workers=True, dataset=dataset
)
val_dataloader = dict(
    batch_size=128, num_workers=8, persistent_workers=True, dataset=dataset
)
test_dataloader = val_dataloader
del dataset
