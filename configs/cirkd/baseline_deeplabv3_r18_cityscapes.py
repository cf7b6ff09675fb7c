_base_ = [
    '../_base_/datasets/cityscapes_512x1024.py',
    '../_base_/models/deeplabv3_r18_os8.py',
    '../_base_/schedules/sgd_poly_40k.py',
    '../_base_/default_runtime.py',
]
model = dict(data_preprocessor=_base_.data_preprocessor)
