# PKT: ResNet-110 teaches ResNet-32.
_base_ = [
    '../_base_/pairs/resnet110_resnet32.py',
    '../_base_/methods/pkt.py',
]
model = dict(losses=dict(pkt=_base_.loss))
