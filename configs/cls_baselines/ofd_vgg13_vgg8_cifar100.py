# OFD: VGG-13 teaches VGG-8.
_base_ = [
    '../_base_/pairs/vgg13_vgg8.py',
    '../_base_/methods/ofd.py',
]
model = dict(
    aux_heads=dict(
        margins=dict(
            type='mmkd.BatchNormMargins',
            on='pre_relu',
            norms=['layer2.5', 'layer3.5', 'layer4.5', 'layer5.5'],
        ),
    ),
    losses=dict(ofd=dict(**_base_.loss, **_base_.shapes.stages)),
)
