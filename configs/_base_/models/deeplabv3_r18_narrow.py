# A quarter-width DeepLabV3-R18, output stride 8, for one CPU core, of stock
# mmsegmentation parts: what is exported needs no mmkd. Feature maps of
# 120x160 images are 15x20, hence the small dilations of the head.
norm_cfg = dict(type='BN')
model = dict(
    type='EncoderDecoder',
    _scope_='mmseg',
    backbone=dict(
        type='ResNetV1c',
        depth=18,
        stem_channels=16,
        base_channels=16,
        strides=(1, 2, 1, 1),
        dilations=(1, 1, 2, 4),
        contract_dilation=True,
        norm_cfg=norm_cfg,
    ),
    decode_head=dict(
        type='ASPPHead',
        in_channels=128,
        channels=32,
        dilations=(1, 4, 8, 12),
        num_classes=11,
        norm_cfg=norm_cfg,
        align_corners=True,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    ),
    test_cfg=dict(mode='whole'),
)
