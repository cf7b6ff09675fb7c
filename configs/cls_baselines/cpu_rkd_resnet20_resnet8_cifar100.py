# RKD: ResNet-20 teaches ResNet-8.
_base_ = [
    '../_base_/pairs/cpu_resnet20_resnet8.py',
    '../_base_/methods/rkd.py',
]
model = dict(losses=dict(rkd=_base_.loss))
