# CIFAR-100 in the CRD benchmark: batches of 64 on one device.
_base_ = [
    'datasets/cifar100.py',
    'schedules/cifar_crd_240.py',
    'cls_runtime.py',
]
train_dataloader = dict(batch_size=64)
