# OFD: ResNet-50 teaches MobileNetV2.
_base_ = [
    '../_base_/pairs/resnet50_mobilenet_v2.py',
    '../_base_/methods/ofd.py',
]
model = dict(
    aux_heads=dict(
        margins=dict(
            type='mmkd.BatchNormMargins',
            on='pre_relu',
            norms=[
                'layer1.2.bn3',
                'layer2.3.bn3',
                'layer3.5.bn3',
                'layer4.2.bn3',
            ],
        ),
    ),
    losses=dict(ofd=dict(**_base_.loss, **_base_.shapes.stages)),
)
