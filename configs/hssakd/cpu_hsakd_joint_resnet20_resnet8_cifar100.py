# HSAKD*: ResNet-20 teaches ResNet-8 on a quarter of the images.
_base_ = [
    'cpu_baseline_resnet8_25_cifar100.py',
    '../_base_/methods/hsakd.py',
]
model = dict(
    _delete_=True,
    student=_base_.model,
    teacher=dict(
        config='mmkd::hssakd/cpu_teacher_joint_resnet20_cifar100.py',
        checkpoint='work_dirs/cpu_teacher_joint_resnet20_cifar100/epoch_20.pth',
    ),
    taps=dict(stages='backbone.layer{1,2,3}', logits='head.fc'),
    **_base_.method,
)
custom_hooks = [*_base_.custom_hooks, dict(type='mmkd.ViewMetricsHook')]
train_cfg = dict(val_interval=2)  # for the curves of the branches
