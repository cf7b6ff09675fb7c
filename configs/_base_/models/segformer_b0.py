# SegFormer-B0 of CIRKD: plain linear decoder of 256 channels. `num_classes`
# is set by the configs that use it. Large images are evaluated in squares of
# 1024, as published.
model = dict(
    type='EncoderDecoder',
    _scope_='mmseg',
    backbone=dict(
        type='MixVisionTransformer',
        in_channels=3,
        embed_dims=32,
        num_stages=4,
        num_layers=[2, 2, 2, 2],
        num_heads=[1, 2, 5, 8],
        patch_sizes=[7, 3, 3, 3],
        sr_ratios=[8, 4, 2, 1],
        out_indices=(0, 1, 2, 3),
        mlp_ratio=4,
        qkv_bias=True,
        drop_rate=0.0,
        attn_drop_rate=0.0,
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='checkpoints/mit_b0.pth'),
    ),
    decode_head=dict(
        type='mmkd.LinearSegformerHead',
        in_channels=[32, 64, 160, 256],
        in_index=[0, 1, 2, 3],
        channels=256,
        dropout_ratio=0.0,
        num_classes=19,
        norm_cfg=dict(type='BN'),
        align_corners=False,
        loss_decode=dict(
            type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=1.0
        ),
    ),
    test_cfg=dict(mode='slide', crop_size=(1024, 1024), stride=(1024, 1024)),
)
