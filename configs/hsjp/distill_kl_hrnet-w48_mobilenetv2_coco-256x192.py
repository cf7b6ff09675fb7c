# MobileNetV2 learns the heat maps of HRNet-W48 beside its task:
# KL divergence over the pixels of a map.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/coco/'
    'td-hm_mobilenetv2_8xb64-210e_coco-256x192.py'
]
custom_imports = dict(imports=['mmkd'], allow_failed_imports=False)
model = dict(
    _delete_=True,
    type='mmkd.OfflineDistiller',
    student=_base_.model,
    teacher=dict(
        config='mmpose::body_2d_keypoint/topdown_heatmap/coco/'
        'td-hm_hrnet-w48_8xb32-210e_coco-256x192.py',
        checkpoint='checkpoints/td-hm_hrnet-w48_coco-256x192.pth',
    ),
    taps=dict(heatmaps='head.final_layer'),
    losses=dict(
        kl=dict(type='mmkd.PixelwiseKLLoss', on='heatmaps', temperature=0.1)
    ),
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
