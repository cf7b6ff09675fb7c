# SegFormer with MiT-B4, decoder of 768 channels: the teacher of SegFormer-B0.
_base_ = 'segformer_b0.py'
model = dict(
    backbone=dict(
        embed_dims=64,
        num_layers=[3, 8, 27, 3],
        init_cfg=dict(checkpoint='checkpoints/mit_b4.pth'),
    ),
    decode_head=dict(in_channels=[64, 128, 320, 512], channels=768),
)
