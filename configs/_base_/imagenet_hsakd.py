# HSAKD on ImageNet: batch 256 in total, that is 128 on each of 2 devices.
_base_ = [
    'datasets/imagenet_memory.py',
    'schedules/imagenet_hsakd_100.py',
    'cls_runtime.py',
]
train_dataloader = dict(batch_size=128)
