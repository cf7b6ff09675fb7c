# DKD: ResNet-32x4 teaches ResNet-8x4.
_base_ = [
    '../_base_/pairs/resnet32x4_resnet8x4.py',
    '../_base_/methods/dkd.py',
]
model = dict(losses=dict(dkd=dict(beta=8.0, **_base_.loss)))
