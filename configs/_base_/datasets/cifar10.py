# CIFAR-10, otherwise as cifar100.py.
_base_ = 'cifar100.py'
dataset_type = 'mmkd.CIFAR10'
data_root = '{{$MMKD_DATA:data}}/cifar10'
num_classes = 10
data_preprocessor = dict(
    num_classes=num_classes,
    mean=[0.4914 * 255, 0.4822 * 255, 0.4465 * 255],  # RGB
    std=[0.2470 * 255, 0.2435 * 255, 0.2616 * 255],
)
dataset = dict(type=dataset_type, data_root=data_root)
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
del dataset
