# KD: ResNet-50 teaches VGG-8.
_base_ = [
    '../_base_/pairs/resnet50_vgg8.py',
    '../_base_/methods/kd.py',
]
model = dict(
    student=_base_.task_weight,
    losses=dict(kd=_base_.loss),
)
