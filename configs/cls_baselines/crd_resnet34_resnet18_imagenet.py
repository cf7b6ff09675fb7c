# CRD on ImageNet: ResNet-34 teaches ResNet-18; negatives with replacement.
_base_ = [
    '../_base_/pairs/imagenet_resnet34_resnet18.py',
    '../_base_/methods/crd.py',
]
crd = _base_.loss
crd.update(num_samples=1281167, replacement=True)
model = dict(losses=dict(crd=crd))
custom_hooks = _base_.crd_hooks
