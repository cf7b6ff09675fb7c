# The published teacher: 80k iterations with 8 images (4 GPUs x 2).
_base_ = [
    '../_base_/datasets/cityscapes_512x1024.py',
    '../_base_/models/deeplabv3_r101_os8.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(data_preprocessor=_base_.data_preprocessor)
