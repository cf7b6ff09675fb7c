# The stock recipe as it is: ImageNet classification weights.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/coco/'
    'td-hm_res101_8xb64-210e_coco-256x192.py'
]
