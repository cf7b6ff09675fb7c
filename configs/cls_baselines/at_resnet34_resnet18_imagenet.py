# AT on ImageNet: ResNet-34 teaches ResNet-18.
_base_ = [
    '../_base_/pairs/imagenet_resnet34_resnet18.py',
    '../_base_/methods/at.py',
]
model = dict(losses=dict(at=_base_.loss))
