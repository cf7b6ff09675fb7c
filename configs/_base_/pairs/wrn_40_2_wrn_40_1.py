# WRN-40-2 teaches WRN-40-1: taps for the losses.
_base_ = '../../cls_baselines/baseline_wrn_40_1_cifar100.py'
model = dict(
    _delete_=True,
    type='mmkd.OfflineDistiller',
    student=_base_.model,
    teacher=dict(
        config='mmkd::cls_baselines/teacher_wrn_40_2_cifar100.py',
        checkpoint='checkpoints/teacher_wrn_40_2_cifar100.pth',
    ),
    taps=dict(
        flow=['backbone.conv1', 'backbone.layer{1,2,3}'],
        stages='backbone.layer{1,2,3}',
        hint='backbone.layer2',
        last='backbone.layer3',
        pre_relu=[
            'backbone.layer2.0.bn1',
            'backbone.layer3.0.bn1',
            'backbone.bn_last',
        ],
        pooled='neck',
        logits='head.fc',
    ),
    input_shape=(3, 32, 32),
)
after_stages = ['backbone.bn_last', 'head']
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
