# MobileNetV2, half the width, stem of stride 2 (CRD).
_base_ = 'vgg8.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmkd.CIFARMobileNetV2',
        widen_factor=0.5,
        stem_stride=2,
    ),
    head=dict(in_channels=1280),
)
