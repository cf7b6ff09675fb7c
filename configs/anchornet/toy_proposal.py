# Stage 1 on synthetic scenes: patches of 31 pixels at 64x64. No data needed.
_base_ = [
    '../_base_/datasets/toy_patches.py',
    '../_base_/models/anchornet.py',
    '../_base_/schedules/toy_patches_4e.py',
    '../_base_/cls_runtime.py',
]
model = dict(
    backbone=dict(num_stride1_blocks=1, out_channels=64),
    head=dict(num_classes=7, in_channels=64, topk=(1,)),
)
