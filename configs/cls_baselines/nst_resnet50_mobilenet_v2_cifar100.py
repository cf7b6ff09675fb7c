# NST: ResNet-50 teaches MobileNetV2.
_base_ = [
    '../_base_/pairs/resnet50_mobilenet_v2.py',
    '../_base_/methods/nst.py',
]
model = dict(losses=dict(nst=_base_.loss))
