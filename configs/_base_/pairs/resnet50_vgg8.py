# ResNet-50 teaches VGG-8: taps and shapes for the losses.
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
shapes = dict(
    hint=dict(
        student_channels=256,
        teacher_channels=512,
        student_size=8,
        teacher_size=16,
    ),
    stages=dict(
        student_channels=[128, 256, 512, 512],
        teacher_channels=[256, 512, 1024, 2048],
    ),
    sizes=dict(
        student_sizes=[16, 8, 4, 4],
        teacher_sizes=[32, 16, 8, 4],
    ),
    last=dict(
        student_channels=512,
        teacher_channels=2048,
    ),
    pooled=dict(
        student_channels=512,
        teacher_channels=2048,
    ),
)
after_stages = ['head']
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
