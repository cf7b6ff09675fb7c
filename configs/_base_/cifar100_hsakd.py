# HSAKD on CIFAR-100: batch 64, 240 epochs.
_base_ = [
    'datasets/cifar100.py',
    'schedules/cifar_hsakd_240.py',
    'cls_runtime.py',
]
train_dataloader = dict(batch_size=64)
auto_scale_lr = dict(base_batch_size=64)
