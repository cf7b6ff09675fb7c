# ResNet-32x4 teaches ShuffleNetV2: taps for the losses.
_base_ = '../../cls_baselines/baseline_shufflenet_v2_cifar100.py'
model = dict(
    _delete_=True,
    type='mmkd.OfflineDistiller',
    student=_base_.model,
    teacher=dict(
        config='mmkd::cls_baselines/teacher_resnet32x4_cifar100.py',
        checkpoint='checkpoints/teacher_resnet32x4_cifar100.pth',
    ),
    taps=dict(
        flow=['backbone.relu', 'backbone.layer{1,2,3}'],
        stages='backbone.layer{1,2,3}',
        hint='backbone.layer2',
        last='backbone.layer3',
        # ShuffleNetV2: behind the ReLU, which overwrites its input
        pre_relu=dict(
            student='backbone.layer{1,2,3}',
            teacher='backbone.layer{1,2,3}.4.relu:input',
        ),
        pooled='neck',
        logits='head.fc',
    ),
    input_shape=(3, 32, 32),
)
after_stages = ['backbone.{conv_last,bn_last}', 'head']
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
