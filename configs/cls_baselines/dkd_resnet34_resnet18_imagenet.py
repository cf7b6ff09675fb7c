# DKD on ImageNet: ResNet-34 teaches ResNet-18.
_base_ = [
    '../_base_/pairs/imagenet_resnet34_resnet18.py',
    '../_base_/methods/dkd.py',
]
dkd = _base_.loss
dkd.update(beta=0.5, temperature=1.0, warmup_epochs=1)
model = dict(losses=dict(dkd=dkd))
