# SP: ResNet-110 teaches ResNet-20.
_base_ = [
    '../_base_/pairs/resnet110_resnet20.py',
    '../_base_/methods/sp.py',
]
model = dict(losses=dict(sp=_base_.loss))
