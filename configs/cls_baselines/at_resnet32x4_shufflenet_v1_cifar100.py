# AT: ResNet-32x4 teaches ShuffleNetV1.
_base_ = [
    '../_base_/pairs/resnet32x4_shufflenet_v1.py',
    '../_base_/methods/at.py',
]
model = dict(losses=dict(at=_base_.loss))
