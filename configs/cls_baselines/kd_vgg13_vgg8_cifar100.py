# KD: VGG-13 teaches VGG-8.
_base_ = [
    '../_base_/pairs/vgg13_vgg8.py',
    '../_base_/methods/kd.py',
]
model = dict(
    student=_base_.task_weight,
    losses=dict(kd=_base_.loss),
)
