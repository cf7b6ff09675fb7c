# RetinaNet with a quarter-width ResNet-18 and a pyramid of 48 channels, of
# stock mmdetection parts, for one CPU core. It starts from random weights.
_base_ = 'mmdet::_base_/models/retinanet_r50_fpn.py'
model = dict(
    _scope_='mmdet',
    backbone=dict(
        depth=18,
        stem_channels=16,
        base_channels=16,
        frozen_stages=-1,
        norm_eval=False,
        init_cfg=None,
    ),
    neck=dict(in_channels=[16, 32, 64, 128], out_channels=48),
    bbox_head=dict(in_channels=48, feat_channels=48, stacked_convs=2),
    test_cfg=dict(score_thr=0.001),  # a short training leaves scores low
)
