# HSAKD: VGG-13 with branches trained on it teaches MobileNetV2.
_base_ = [
    'baseline_mobilenet_v2_cifar100.py',
    '../_base_/methods/hsakd.py',
]
model = dict(
    _delete_=True,
    student=_base_.model,
    teacher=dict(
        config='mmkd::hssakd/teacher_frozen_vgg13_cifar100.py',
        checkpoint='checkpoints/teacher_frozen_vgg13_cifar100.pth',
    ),
    taps=dict(
        stages=dict(
            student='backbone.layer{1,2,3,4}',
            teacher='backbone.layer{1,2,3,5}',
        ),
        logits='head.fc',
    ),
    **_base_.method,
)
