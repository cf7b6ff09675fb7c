# ResNet-34 alone.
_base_ = [
    '../_base_/datasets/imagenet_memory.py',
    'mmpretrain::_base_/models/resnet34.py',
    '../_base_/schedules/imagenet_step_90.py',
    '../_base_/cls_runtime.py',
]
