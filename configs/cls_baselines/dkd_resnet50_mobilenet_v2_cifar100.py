# DKD: ResNet-50 teaches MobileNetV2.
_base_ = [
    '../_base_/pairs/resnet50_mobilenet_v2.py',
    '../_base_/methods/dkd.py',
]
model = dict(losses=dict(dkd=dict(beta=8.0, **_base_.loss)))
