# Transfer: Faster R-CNN on COCO, backbone of the exported student.
_base_ = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'
backbone = dict(
    _delete_=True,
    type='ResNet',
    depth=18,
    num_stages=4,
    out_indices=(0, 1, 2, 3),
    frozen_stages=1,
    norm_cfg=dict(type='BN', requires_grad=True),
    norm_eval=True,
    style='pytorch',
    init_cfg=dict(
        type='Pretrained',
        prefix='backbone.',
        checkpoint='checkpoints/hsakd_resnet34_resnet18_imagenet.pth',
    ),
)
model = dict(backbone=backbone, neck=dict(in_channels=[64, 128, 256, 512]))
