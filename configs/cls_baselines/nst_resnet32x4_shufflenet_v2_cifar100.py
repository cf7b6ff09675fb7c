# NST: ResNet-32x4 teaches ShuffleNetV2.
_base_ = [
    '../_base_/pairs/resnet32x4_shufflenet_v2.py',
    '../_base_/methods/nst.py',
]
model = dict(losses=dict(nst=_base_.loss))
