# AT: ResNet-20 teaches ResNet-8.
_base_ = [
    '../_base_/pairs/cpu_resnet20_resnet8.py',
    '../_base_/methods/at.py',
]
model = dict(losses=dict(at=_base_.loss))
