# HSAKD: ResNet-32x4 with branches trained on it teaches ResNet-8x4.
_base_ = [
    'baseline_resnet8x4_cifar100.py',
    '../_base_/methods/hsakd.py',
]
model = dict(
    _delete_=True,
    student=_base_.model,
    teacher=dict(
        config='mmkd::hssakd/teacher_frozen_resnet32x4_cifar100.py',
        checkpoint='checkpoints/teacher_frozen_resnet32x4_cifar100.pth',
    ),
    taps=dict(stages='backbone.layer{1,2,3}', logits='head.fc'),
    **_base_.method,
)
