# CC: ResNet-32x4 teaches ResNet-8x4.
_base_ = [
    '../_base_/pairs/resnet32x4_resnet8x4.py',
    '../_base_/methods/cc.py',
]
model = dict(losses=dict(cc=dict(**_base_.loss, **_base_.shapes.pooled)))
