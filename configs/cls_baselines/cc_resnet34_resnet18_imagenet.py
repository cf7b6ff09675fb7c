# CC on ImageNet: ResNet-34 teaches ResNet-18. Weight: that of CIFAR-100.
_base_ = [
    '../_base_/pairs/imagenet_resnet34_resnet18.py',
    '../_base_/methods/cc.py',
]
model = dict(losses=dict(cc=dict(**_base_.loss, **_base_.shapes.pooled)))
