# VGG-13 teaches MobileNetV2: taps for the losses.
_base_ = '../../cls_baselines/baseline_mobilenet_v2_cifar100.py'
model = dict(
    _delete_=True,
    type='mmkd.OfflineDistiller',
    student=_base_.model,
    teacher=dict(
        config='mmkd::cls_baselines/teacher_vgg13_cifar100.py',
        checkpoint='checkpoints/teacher_vgg13_cifar100.pth',
    ),
    taps=dict(
        flow=dict(
            student=['backbone.relu', 'backbone.layer{1,2,3,4}'],
            teacher=['backbone.layer1', 'backbone.layer{2,3,4,5}'],
        ),
        stages=dict(
            student='backbone.layer{1,2,3,4}',
            teacher='backbone.layer{2,3,4,5}',
        ),
        hint=dict(student='backbone.layer2', teacher='backbone.layer3'),
        last=dict(student='backbone.layer4', teacher='backbone.layer5'),
        # linear bottlenecks of the student
        pre_relu=dict(
            student='backbone.layer{1,2,3,4}',
            teacher='backbone.layer{2,3,4,5}.6:input',
        ),
        pooled='neck',
        logits='head.fc',
    ),
    input_shape=(3, 32, 32),
)
after_stages = ['backbone.{conv_last,bn_last}', 'head']
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
