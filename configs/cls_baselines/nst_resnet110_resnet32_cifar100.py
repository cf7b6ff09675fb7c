# NST: ResNet-110 teaches ResNet-32.
_base_ = [
    '../_base_/pairs/resnet110_resnet32.py',
    '../_base_/methods/nst.py',
]
model = dict(losses=dict(nst=_base_.loss))
