# RKD on ImageNet: ResNet-34 teaches ResNet-18. Weight: that of CIFAR-100.
_base_ = [
    '../_base_/pairs/imagenet_resnet34_resnet18.py',
    '../_base_/methods/rkd.py',
]
model = dict(losses=dict(rkd=_base_.loss))
