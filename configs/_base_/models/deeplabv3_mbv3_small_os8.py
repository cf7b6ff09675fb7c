# DeepLabV3-MobileNetV3-small of CIRKDv2 (output stride 8, no auxiliary head).
# The backbone is mmseg's; its ImageNet weights fit.
_base_ = 'deeplabv3_r18_os8.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='MobileNetV3',
        arch='small',
        out_indices=(12,),
        norm_cfg=dict(type='BN'),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='open-mmlab://contrib/mobilenet_v3_small',
        ),
    ),
    decode_head=dict(in_channels=576, in_index=0),
    auxiliary_head=None,
)
