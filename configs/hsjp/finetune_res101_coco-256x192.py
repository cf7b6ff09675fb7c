# The stock recipe from the HSJP backbone: only init_cfg differs.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/coco/'
    'td-hm_res101_8xb64-210e_coco-256x192.py'
]
model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            prefix='backbone.',
            checkpoint='work_dirs/hsjp_res101_coco-256x192/epoch_210.pth',
        )
    )
)
