# PKT: ResNet-50 teaches MobileNetV2.
_base_ = [
    '../_base_/pairs/resnet50_mobilenet_v2.py',
    '../_base_/methods/pkt.py',
]
model = dict(losses=dict(pkt=_base_.loss))
