# KD on ImageNet: temperature 1, halves of cross entropy and distillation.
_base_ = [
    '../_base_/pairs/imagenet_resnet34_resnet18.py',
    '../_base_/methods/kd.py',
]
kd = _base_.loss
kd.update(temperature=1.0, loss_weight=0.5)
model = dict(
    student=dict(head=dict(loss=dict(loss_weight=0.5))),
    losses=dict(kd=kd),
)
