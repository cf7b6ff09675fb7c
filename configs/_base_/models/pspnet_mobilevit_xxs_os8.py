# PSPNet-MobileViT-XXS of CIRKDv2 (output stride 8, no auxiliary head).
_base_ = 'deeplabv3_mobilevit_xxs_os8.py'
model = dict(
    decode_head=dict(
        _delete_=True,
        type='mmkd.ElementDropoutPSPHead',
        in_channels=320,
        in_index=0,
        channels=128,
        pool_scales=(1, 2, 3, 6),
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=dict(type='BN'),
        align_corners=True,
        loss_decode=dict(
            type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=1.0
        ),
    )
)
