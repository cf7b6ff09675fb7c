# DeepLabV3-MobileNetV2 of CIRKD (output stride 8, no auxiliary head): 3.23 M
# parameters with 19 classes.
_base_ = 'deeplabv3_r18_os8.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmkd.DilatedMobileNetV2',
        strides=(1, 2, 2, 1, 1, 1, 1),
        dilations=(
            (1,),
            (1, 1),
            (1, 1, 1),
            (1, 2, 2, 2),
            (2, 2, 2),
            (2, 4, 4),
            (4,),
        ),
        out_indices=(6,),
        norm_cfg=dict(type='BN'),
        init_cfg=dict(
            type='Pretrained', checkpoint='checkpoints/mobilenet_v2.pth'
        ),
    ),
    decode_head=dict(in_channels=320, in_index=0),
    auxiliary_head=None,
)
