# PKT: ResNet-32x4 teaches ResNet-8x4.
_base_ = [
    '../_base_/pairs/resnet32x4_resnet8x4.py',
    '../_base_/methods/pkt.py',
]
model = dict(losses=dict(pkt=_base_.loss))
