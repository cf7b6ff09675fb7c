# UPerNet-R18 of CIRKDv2: a backbone without dilation (output stride 32), a
# head of 512 channels whose last convolution has stride 2: logits of stride
# 8, as the teacher's.
_base_ = 'deeplabv3_r18_os8.py'
model = dict(
    backbone=dict(strides=(1, 2, 2, 2), dilations=(1, 1, 1, 1)),
    decode_head=dict(
        _delete_=True,
        type='mmkd.StridedUPerHead',
        in_channels=[64, 128, 256, 512],
        in_index=[0, 1, 2, 3],
        channels=512,
        pool_scales=(1, 2, 3, 6),
        dropout_ratio=0.0,
        num_classes=19,
        norm_cfg=dict(type='BN'),
        align_corners=False,
        loss_decode=dict(
            type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=1.0
        ),
    ),
)
