# CC: VGG-13 teaches MobileNetV2.
_base_ = [
    '../_base_/pairs/vgg13_mobilenet_v2.py',
    '../_base_/methods/cc.py',
]
model = dict(losses=dict(cc=dict(**_base_.loss, **_base_.shapes.pooled)))
