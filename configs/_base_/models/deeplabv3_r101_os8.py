# DeepLabV3-R101 of CIRKD (output stride 8): 61.12 M parameters with 19
# classes. The teacher of every table.
_base_ = 'deeplabv3_r18_os8.py'
model = dict(
    backbone=dict(
        depth=101, init_cfg=dict(checkpoint='checkpoints/resnet101_v1s.pth')
    ),
    decode_head=dict(in_channels=2048, channels=256),
    auxiliary_head=dict(in_channels=1024, channels=256),
)
