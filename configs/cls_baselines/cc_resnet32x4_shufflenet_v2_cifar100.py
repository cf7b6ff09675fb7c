# CC: ResNet-32x4 teaches ShuffleNetV2.
_base_ = [
    '../_base_/pairs/resnet32x4_shufflenet_v2.py',
    '../_base_/methods/cc.py',
]
model = dict(losses=dict(cc=dict(**_base_.loss, **_base_.shapes.pooled)))
