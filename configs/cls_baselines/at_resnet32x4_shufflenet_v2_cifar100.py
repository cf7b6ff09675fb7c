# AT: ResNet-32x4 teaches ShuffleNetV2.
_base_ = [
    '../_base_/pairs/resnet32x4_shufflenet_v2.py',
    '../_base_/methods/at.py',
]
model = dict(losses=dict(at=_base_.loss))
