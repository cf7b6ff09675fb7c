# RKD: ResNet-50 teaches VGG-8.
_base_ = [
    '../_base_/pairs/resnet50_vgg8.py',
    '../_base_/methods/rkd.py',
]
model = dict(losses=dict(rkd=_base_.loss))
