# HSAKD: ResNet-50 with branches trained on it teaches MobileNetV2.
_base_ = [
    'baseline_mobilenet_v2_cifar100.py',
    '../_base_/methods/hsakd.py',
]
model = dict(
    _delete_=True,
    student=_base_.model,
    teacher=dict(
        config='mmkd::hssakd/teacher_frozen_resnet50_cifar100.py',
        checkpoint='checkpoints/teacher_frozen_resnet50_cifar100.pth',
    ),
    taps=dict(stages='backbone.layer{1,2,3,4}', logits='head.fc'),
    **_base_.method,
)
