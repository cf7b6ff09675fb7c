# VID: ResNet-110 teaches ResNet-20.
_base_ = [
    '../_base_/pairs/resnet110_resnet20.py',
    '../_base_/methods/vid.py',
]
model = dict(losses=dict(vid=dict(**_base_.loss, **_base_.shapes.stages)))
