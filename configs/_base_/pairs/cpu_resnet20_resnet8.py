# ResNet-20 teaches ResNet-8 on a quarter of the training images, for one CPU
# core.
_base_ = '../../cls_baselines/cpu_baseline_resnet8_25_cifar100.py'
model = dict(
    _delete_=True,
    type='mmkd.OfflineDistiller',
    student=_base_.model,
    teacher=dict(
        config='mmkd::cls_baselines/cpu_teacher_resnet20_cifar100.py',
        checkpoint='work_dirs/cpu_teacher_resnet20_cifar100/epoch_20.pth',
    ),
    taps=dict(
        stages='backbone.layer{1,2,3}',
        review=dict(
            student=['backbone.layer{1,2,3}', 'neck'],
            teacher=['backbone.layer{1,2,3}.2.relu:input', 'neck'],
        ),
        last='backbone.layer3',
        pooled='neck',
        logits='head.fc',
    ),
    input_shape=(3, 32, 32),
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
