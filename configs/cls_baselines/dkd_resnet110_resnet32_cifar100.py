# DKD: ResNet-110 teaches ResNet-32.
_base_ = [
    '../_base_/pairs/resnet110_resnet32.py',
    '../_base_/methods/dkd.py',
]
model = dict(losses=dict(dkd=dict(beta=2.0, **_base_.loss)))
