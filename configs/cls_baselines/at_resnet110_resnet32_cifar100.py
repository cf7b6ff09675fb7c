# AT: ResNet-110 teaches ResNet-32.
_base_ = [
    '../_base_/pairs/resnet110_resnet32.py',
    '../_base_/methods/at.py',
]
model = dict(losses=dict(at=_base_.loss))
