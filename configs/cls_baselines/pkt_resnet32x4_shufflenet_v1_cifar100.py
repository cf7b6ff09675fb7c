# PKT: ResNet-32x4 teaches ShuffleNetV1.
_base_ = [
    '../_base_/pairs/resnet32x4_shufflenet_v1.py',
    '../_base_/methods/pkt.py',
]
model = dict(losses=dict(pkt=_base_.loss))
