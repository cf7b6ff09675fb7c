# NST: ResNet-32x4 teaches ResNet-8x4.
_base_ = [
    '../_base_/pairs/resnet32x4_resnet8x4.py',
    '../_base_/methods/nst.py',
]
model = dict(losses=dict(nst=_base_.loss))
