# MobileNetV2 alone; the schedule is that of our other ImageNet configs.
_base_ = [
    '../_base_/datasets/imagenet_memory.py',
    'mmpretrain::_base_/models/mobilenet_v2_1x.py',
    '../_base_/schedules/imagenet_step_90.py',
    '../_base_/cls_runtime.py',
]
model = dict(head=dict(init_cfg=None))  # PyTorch's
