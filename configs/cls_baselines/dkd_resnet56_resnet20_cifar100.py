# DKD: ResNet-56 teaches ResNet-20.
_base_ = [
    '../_base_/pairs/resnet56_resnet20.py',
    '../_base_/methods/dkd.py',
]
model = dict(losses=dict(dkd=dict(beta=2.0, **_base_.loss)))
