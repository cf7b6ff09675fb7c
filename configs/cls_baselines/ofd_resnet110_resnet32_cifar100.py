# OFD: ResNet-110 teaches ResNet-32.
_base_ = [
    '../_base_/pairs/resnet110_resnet32.py',
    '../_base_/methods/ofd.py',
]
model = dict(
    aux_heads=dict(
        margins=dict(
            type='mmkd.BatchNormMargins',
            on='pre_relu',
            norms=['layer1.17.bn2', 'layer2.17.bn2', 'layer3.17.bn2'],
        ),
    ),
    losses=dict(ofd=dict(**_base_.loss, **_base_.shapes.stages)),
)
