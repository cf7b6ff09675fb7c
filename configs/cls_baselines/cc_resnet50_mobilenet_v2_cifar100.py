# CC: ResNet-50 teaches MobileNetV2.
_base_ = [
    '../_base_/pairs/resnet50_mobilenet_v2.py',
    '../_base_/methods/cc.py',
]
model = dict(losses=dict(cc=dict(**_base_.loss, **_base_.shapes.pooled)))
