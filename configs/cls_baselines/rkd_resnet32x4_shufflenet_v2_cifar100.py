# RKD: ResNet-32x4 teaches ShuffleNetV2.
_base_ = [
    '../_base_/pairs/resnet32x4_shufflenet_v2.py',
    '../_base_/methods/rkd.py',
]
model = dict(losses=dict(rkd=_base_.loss))
