# ResNet-110 teaches ResNet-20: taps for the losses.
_base_ = '../../cls_baselines/baseline_resnet20_cifar100.py'
model = dict(
    _delete_=True,
    type='mmkd.OfflineDistiller',
    student=_base_.model,
    teacher=dict(
        config='mmkd::cls_baselines/teacher_resnet110_cifar100.py',
        checkpoint='checkpoints/teacher_resnet110_cifar100.pth',
    ),
    taps=dict(
        flow=['backbone.relu', 'backbone.layer{1,2,3}'],
        stages='backbone.layer{1,2,3}',
        hint='backbone.layer2',
        last='backbone.layer3',
        pre_relu=dict(
            student='backbone.layer{1,2,3}.2.relu:input',
            teacher='backbone.layer{1,2,3}.17.relu:input',
        ),
        pooled='neck',
        logits='head.fc',
    ),
    input_shape=(3, 32, 32),
)
after_stages = ['head']
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
