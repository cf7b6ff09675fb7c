# SP: ResNet-56 teaches ResNet-20.
_base_ = [
    '../_base_/pairs/resnet56_resnet20.py',
    '../_base_/methods/sp.py',
]
model = dict(losses=dict(sp=_base_.loss))
