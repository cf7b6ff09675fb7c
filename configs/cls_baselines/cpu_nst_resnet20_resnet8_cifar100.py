# NST: ResNet-20 teaches ResNet-8.
_base_ = [
    '../_base_/pairs/cpu_resnet20_resnet8.py',
    '../_base_/methods/nst.py',
]
model = dict(losses=dict(nst=_base_.loss))
