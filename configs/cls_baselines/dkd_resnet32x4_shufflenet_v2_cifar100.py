# DKD: ResNet-32x4 teaches ShuffleNetV2.
_base_ = [
    '../_base_/pairs/resnet32x4_shufflenet_v2.py',
    '../_base_/methods/dkd.py',
]
model = dict(losses=dict(dkd=dict(beta=8.0, **_base_.loss)))
