# FitNet: ResNet-56 teaches ResNet-20.
_base_ = [
    '../_base_/pairs/resnet56_resnet20.py',
    '../_base_/methods/fitnet.py',
]
model = dict(losses=dict(fitnet=dict(**_base_.loss, **_base_.shapes.hint)))
