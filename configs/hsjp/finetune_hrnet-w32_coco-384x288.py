# The stock recipe from the HSJP backbone: only init_cfg differs.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/coco/'
    'td-hm_hrnet-w32_8xb64-210e_coco-384x288.py'
]
model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            prefix='backbone.',
            checkpoint='work_dirs/hsjp_hrnet-w32_coco-384x288/epoch_210.pth',
        )
    )
)
