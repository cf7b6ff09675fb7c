# DKD: VGG-13 teaches VGG-8.
_base_ = [
    '../_base_/pairs/vgg13_vgg8.py',
    '../_base_/methods/dkd.py',
]
model = dict(losses=dict(dkd=dict(beta=6.0, **_base_.loss)))
