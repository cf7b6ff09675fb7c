# ResNet-101 alone, SFP's recipe.
_base_ = [
    '../_base_/datasets/imagenet_memory.py',
    'mmpretrain::_base_/models/resnet101.py',
    '../_base_/schedules/imagenet_sfp_100.py',
    '../_base_/cls_runtime.py',
]
model = dict(head=dict(init_cfg=None))  # PyTorch's default
