# Linear evaluation of a ResNet-18 that was trained without labels, by
# mmpretrain's own parts. The file is that of tools/export_student.py; batch
# 256 in total.
_base_ = [
    'mmpretrain::_base_/models/resnet18.py',
    'mmpretrain::_base_/datasets/imagenet_bs32_pil_resize.py',
    '../_base_/schedules/linear_moco_100.py',
    '../_base_/cls_runtime.py',
]
pretrained = 'work_dirs/mcl_moco_x2_resnet18_imagenet/student.pth'
model = dict(
    backbone=dict(
        frozen_stages=4,
        init_cfg=dict(
            type='Pretrained', checkpoint=pretrained, prefix='backbone.'
        ),
    )
)
data_root = '{{$MMKD_DATA:data}}/imagenet'
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = dict(dataset=dict(data_root=data_root))
