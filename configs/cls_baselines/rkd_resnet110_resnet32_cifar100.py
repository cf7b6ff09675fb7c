# RKD: ResNet-110 teaches ResNet-32.
_base_ = [
    '../_base_/pairs/resnet110_resnet32.py',
    '../_base_/methods/rkd.py',
]
model = dict(losses=dict(rkd=_base_.loss))
