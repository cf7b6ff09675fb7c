# OFD: WRN-40-2 teaches WRN-40-1.
_base_ = [
    '../_base_/pairs/wrn_40_2_wrn_40_1.py',
    '../_base_/methods/ofd.py',
]
model = dict(
    aux_heads=dict(
        margins=dict(
            type='mmkd.BatchNormMargins',
            on='pre_relu',
            norms=['layer2.0.bn1', 'layer3.0.bn1', 'bn_last'],
        ),
    ),
    losses=dict(ofd=dict(**_base_.loss, **_base_.shapes.stages)),
)
