# OFD: ResNet-32x4 teaches ResNet-8x4.
_base_ = [
    '../_base_/pairs/resnet32x4_resnet8x4.py',
    '../_base_/methods/ofd.py',
]
model = dict(
    aux_heads=dict(
        margins=dict(
            type='mmkd.BatchNormMargins',
            on='pre_relu',
            norms=['layer1.4.bn2', 'layer2.4.bn2', 'layer3.4.bn2'],
        ),
    ),
    losses=dict(ofd=dict(**_base_.loss, **_base_.shapes.stages)),
)
