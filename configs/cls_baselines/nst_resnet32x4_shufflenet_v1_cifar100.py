# NST: ResNet-32x4 teaches ShuffleNetV1.
_base_ = [
    '../_base_/pairs/resnet32x4_shufflenet_v1.py',
    '../_base_/methods/nst.py',
]
model = dict(losses=dict(nst=_base_.loss))
