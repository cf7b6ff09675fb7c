# ResNet-50 teaches MobileNetV2: taps for the losses.
_base_ = '../../cls_baselines/baseline_mobilenet_v2_cifar100.py'
model = dict(
    _delete_=True,
    type='mmkd.OfflineDistiller',
    student=_base_.model,
    teacher=dict(
        config='mmkd::cls_baselines/teacher_resnet50_cifar100.py',
        checkpoint='checkpoints/teacher_resnet50_cifar100.pth',
    ),
    taps=dict(
        flow=['backbone.relu', 'backbone.layer{1,2,3,4}'],
        stages='backbone.layer{1,2,3,4}',
        hint='backbone.layer2',
        last='backbone.layer4',
        # linear bottlenecks of the student; teacher: behind the ReLU
        pre_relu='backbone.layer{1,2,3,4}',
        pooled='neck',
        logits='head.fc',
    ),
    input_shape=(3, 32, 32),
)
after_stages = ['backbone.{conv_last,bn_last}', 'head']
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
