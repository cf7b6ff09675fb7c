# ResNet-18 of a quarter of the width, without a head, for one CPU core.
_base_ = 'encoder_resnet18.py'
model = dict(
    backbone=dict(
        stem_channels=16,
        base_channels=16,
        norm_cfg=dict(group_size=16),
    )
)
