# OFD: ResNet-56 teaches ResNet-20.
_base_ = [
    '../_base_/pairs/resnet56_resnet20.py',
    '../_base_/methods/ofd.py',
]
model = dict(
    aux_heads=dict(
        margins=dict(
            type='mmkd.BatchNormMargins',
            on='pre_relu',
            norms=['layer1.8.bn2', 'layer2.8.bn2', 'layer3.8.bn2'],
        ),
    ),
    losses=dict(ofd=dict(**_base_.loss, **_base_.shapes.stages)),
)
