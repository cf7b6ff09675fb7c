# AT: ResNet-50 teaches VGG-8.
_base_ = [
    '../_base_/pairs/resnet50_vgg8.py',
    '../_base_/methods/at.py',
]
model = dict(losses=dict(at=_base_.loss))
