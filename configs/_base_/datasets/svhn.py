# SVHN without the extra images. Digits are cropped at random, not flipped.
_base_ = 'cifar10.py'
dataset_type = 'mmkd.SVHN'
data_root = '{{$MMKD_DATA:data}}/svhn'
data_preprocessor = dict(
    mean=[0.4377 * 255, 0.4438 * 255, 0.4728 * 255],  # RGB
    std=[0.1980 * 255, 0.2010 * 255, 0.1970 * 255],
    flip_prob=0.0,
)
dataset = dict(type=dataset_type, data_root=data_root)
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
del dataset
