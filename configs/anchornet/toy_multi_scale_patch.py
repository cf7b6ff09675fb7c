# 2 patches of two scales in place of each synthetic scene.
_base_ = 'toy_patch.py'
model = dict(
    proposal=dict(
        config='mmkd::anchornet/toy_multi_scale.py',
        checkpoint='work_dirs/toy_multi_scale/epoch_4.pth',
    ),
    selector=dict(
        _delete_=True,
        type='mmkd.MultiScalePatchSelector',
        num_patches=2,
        iou_thresholds=0.3,
        output_size=31,
    ),
)
