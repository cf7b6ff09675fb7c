_base_ = [
    '../_base_/datasets/camvid_360x360.py',
    '../_base_/models/pspnet_r18_os8.py',
    '../_base_/schedules/sgd_poly_40k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    data_preprocessor=_base_.data_preprocessor,
    decode_head=dict(num_classes=11),
    auxiliary_head=dict(num_classes=11),
)
