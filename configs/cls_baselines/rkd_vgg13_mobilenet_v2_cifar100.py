# RKD: VGG-13 teaches MobileNetV2.
_base_ = [
    '../_base_/pairs/vgg13_mobilenet_v2.py',
    '../_base_/methods/rkd.py',
]
model = dict(losses=dict(rkd=_base_.loss))
