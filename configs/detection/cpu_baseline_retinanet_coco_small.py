# The student alone, from random weights.
_base_ = [
    '../_base_/datasets/coco_small_256.py',
    '../_base_/models/retinanet_r18_narrow.py',
    '../_base_/schedules/cpu_det_600.py',
    '../_base_/det_runtime.py',
]
