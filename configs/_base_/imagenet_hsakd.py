# HSAKD on ImageNet: 32 images on each of 8 devices, without SyncBN; the
# four rotations make 128 for each batch norm.
_base_ = [
    'datasets/imagenet_memory.py',
    'schedules/imagenet_hsakd_100.py',
    'cls_runtime.py',
]
train_dataloader = dict(batch_size=32)
