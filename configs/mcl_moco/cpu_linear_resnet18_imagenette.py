# Linear evaluation as mmpretrain's own configs do it: an ordinary classifier
# whose backbone is frozen. The file is that of tools/export_student.py.
_base_ = [
    '../_base_/datasets/imagenette_64.py',
    '../_base_/models/encoder_resnet18_narrow.py',
    '../_base_/schedules/linear_moco_100.py',
    '../_base_/cls_runtime.py',
]
pretrained = 'work_dirs/cpu_mcl_moco_x2_resnet18_imagenette/student.pth'
model = dict(
    backbone=dict(
        frozen_stages=4,
        norm_cfg=dict(_delete_=True, type='BN'),
        init_cfg=dict(
            type='Pretrained', checkpoint=pretrained, prefix='backbone.'
        ),
    ),
    head=dict(
        type='LinearClsHead',
        num_classes=10,
        in_channels=128,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
        topk=(1, 5),
    ),
)
