# DeepLabV3-R18 of CIRKD (output stride 8): 13.61 M parameters with 19
# classes. `num_classes` is set by the configs that use it.
norm_cfg = dict(type='BN')  # made SyncBN by `sync_bn` in distributed runs
model = dict(
    type='EncoderDecoder',
    _scope_='mmseg',
    backbone=dict(
        type='mmkd.ResNetV1s',
        depth=18,
        strides=(1, 2, 1, 1),
        dilations=(1, 1, 2, 4),
        norm_cfg=norm_cfg,
        init_cfg=dict(
            type='Pretrained', checkpoint='checkpoints/resnet18_v1s.pth'
        ),
    ),
    decode_head=dict(
        type='mmkd.ASPPProjectHead',
        in_channels=512,
        channels=128,
        dilations=(1, 12, 24, 36),
        project_dropout=0.5,
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=norm_cfg,
        align_corners=True,
        loss_decode=dict(
            type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=1.0
        ),
    ),
    auxiliary_head=dict(
        type='mmkd.ElementDropoutFCNHead',
        in_channels=256,
        in_index=2,
        channels=64,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=norm_cfg,
        align_corners=True,
        loss_decode=dict(
            type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=0.4
        ),
    ),
    test_cfg=dict(mode='whole'),
)
