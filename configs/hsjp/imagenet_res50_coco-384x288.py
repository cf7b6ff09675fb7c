# The stock recipe as it is: ImageNet classification weights.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/coco/'
    'td-hm_res50_8xb64-210e_coco-384x288.py'
]
