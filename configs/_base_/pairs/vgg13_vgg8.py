# VGG-13 teaches VGG-8: taps for the losses.
_base_ = '../../cls_baselines/baseline_vgg8_cifar100.py'
model = dict(
    _delete_=True,
    type='mmkd.OfflineDistiller',
    student=_base_.model,
    teacher=dict(
        config='mmkd::cls_baselines/teacher_vgg13_cifar100.py',
        checkpoint='checkpoints/teacher_vgg13_cifar100.pth',
    ),
    taps=dict(
        flow=['backbone.layer1', 'backbone.layer{2,3,4,5}'],
        stages='backbone.layer{2,3,4,5}',
        hint='backbone.layer3',
        last='backbone.layer5',
        pre_relu=dict(
            student='backbone.layer{2,3,4,5}.3:input',
            teacher='backbone.layer{2,3,4,5}.6:input',
        ),
        pooled='neck',
        logits='head.fc',
    ),
    input_shape=(3, 32, 32),
)
after_stages = ['head']
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
