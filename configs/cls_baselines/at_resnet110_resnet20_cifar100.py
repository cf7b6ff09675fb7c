# AT: ResNet-110 teaches ResNet-20.
_base_ = [
    '../_base_/pairs/resnet110_resnet20.py',
    '../_base_/methods/at.py',
]
model = dict(losses=dict(at=_base_.loss))
