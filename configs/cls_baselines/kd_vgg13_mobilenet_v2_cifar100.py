# KD: VGG-13 teaches MobileNetV2.
_base_ = [
    '../_base_/pairs/vgg13_mobilenet_v2.py',
    '../_base_/methods/kd.py',
]
model = dict(
    student=_base_.task_weight,
    losses=dict(kd=_base_.loss),
)
