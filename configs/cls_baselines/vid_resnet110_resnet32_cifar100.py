# VID: ResNet-110 teaches ResNet-32.
_base_ = [
    '../_base_/pairs/resnet110_resnet32.py',
    '../_base_/methods/vid.py',
]
model = dict(losses=dict(vid=dict(**_base_.loss, **_base_.shapes.stages)))
