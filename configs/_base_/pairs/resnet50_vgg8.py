# ResNet-50 teaches VGG-8: taps for the losses.
_base_ = '../../cls_baselines/baseline_vgg8_cifar100.py'
model = dict(
    _delete_=True,
    type='mmkd.OfflineDistiller',
    student=_base_.model,
    teacher=dict(
        config='mmkd::cls_baselines/teacher_resnet50_cifar100.py',
        checkpoint='checkpoints/teacher_resnet50_cifar100.pth',
    ),
    taps=dict(
        flow=dict(
            student=['backbone.layer1', 'backbone.layer{2,3,4,5}'],
            teacher=['backbone.relu', 'backbone.layer{1,2,3,4}'],
        ),
        stages=dict(
            student='backbone.layer{2,3,4,5}',
            teacher='backbone.layer{1,2,3,4}',
        ),
        hint=dict(student='backbone.layer3', teacher='backbone.layer2'),
        last=dict(student='backbone.layer5', teacher='backbone.layer4'),
        # teacher: behind the ReLU
        pre_relu=dict(
            student='backbone.layer{2,3,4,5}.3:input',
            teacher='backbone.layer{1,2,3,4}',
        ),
        pooled='neck',
        logits='head.fc',
    ),
    input_shape=(3, 32, 32),
)
after_stages = ['head']
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
