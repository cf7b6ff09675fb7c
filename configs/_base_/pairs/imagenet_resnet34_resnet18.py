# ImageNet: ResNet-34 teaches ResNet-18; 100 epochs, batch 256 in total.
_base_ = '../../hssakd/baseline_resnet18_imagenet.py'
model = dict(
    _delete_=True,
    type='mmkd.OfflineDistiller',
    student=_base_.model,
    teacher=dict(
        config='mmkd::hssakd/baseline_resnet34_imagenet.py',
        checkpoint='checkpoints/teacher_resnet34_imagenet.pth',
    ),
    taps=dict(
        stages='backbone.layer{1,2,3,4}',
        last='backbone.layer4',
        pooled='neck',
        logits='head.fc',
    ),
    input_shape=(3, 224, 224),
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
