# SP: ResNet-110 teaches ResNet-32.
_base_ = [
    '../_base_/pairs/resnet110_resnet32.py',
    '../_base_/methods/sp.py',
]
model = dict(losses=dict(sp=_base_.loss))
