# Stage 1 on Imagenette: AnchorNet with patches of 47 pixels at 128x128.
_base_ = [
    '../_base_/datasets/imagenette_128.py',
    '../_base_/models/anchornet.py',
    '../_base_/schedules/cpu_anchornet_40e.py',
    '../_base_/cls_runtime.py',
]
model = dict(
    backbone=dict(num_stride1_blocks=2),
    head=dict(num_classes=10),
)
