# DeepLabV3-MobileNetV3-large of CIRKDv2 (output stride 8, no auxiliary head).
# The backbone is mmseg's; its ImageNet weights fit.
_base_ = 'deeplabv3_r18_os8.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='MobileNetV3',
        arch='large',
        out_indices=(16,),
        norm_cfg=dict(type='BN'),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='open-mmlab://contrib/mobilenet_v3_large',
        ),
    ),
    decode_head=dict(in_channels=960, in_index=0),
    auxiliary_head=None,
)
