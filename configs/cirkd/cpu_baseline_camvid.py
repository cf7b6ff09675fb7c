# The student alone: about 5 minutes on one CPU core, no ImageNet weights.
_base_ = [
    '../_base_/datasets/camvid_120x160.py',
    '../_base_/models/deeplabv3_r18_narrow.py',
    '../_base_/schedules/adamw_poly_1500.py',
    '../_base_/default_runtime.py',
]
model = dict(data_preprocessor=_base_.data_preprocessor)
