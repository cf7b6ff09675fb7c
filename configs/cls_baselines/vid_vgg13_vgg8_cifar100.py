# VID: VGG-13 teaches VGG-8.
_base_ = [
    '../_base_/pairs/vgg13_vgg8.py',
    '../_base_/methods/vid.py',
]
model = dict(losses=dict(vid=dict(**_base_.loss, **_base_.shapes.stages)))
