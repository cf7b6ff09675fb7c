# HSAKD: ResNet-34 with branches trained on it teaches ResNet-18.
_base_ = [
    'baseline_resnet18_imagenet.py',
    '../_base_/methods/hsakd.py',
]
method = _base_.method
method.input_shape = (3, 224, 224)
method.aux_heads.joint.num_classes = 1000
model = dict(
    _delete_=True,
    student=_base_.model,
    teacher=dict(
        config='mmkd::hssakd/teacher_frozen_resnet34_imagenet.py',
        checkpoint='checkpoints/teacher_frozen_resnet34_imagenet.pth',
    ),
    taps=dict(stages='backbone.layer{1,2,3,4}', logits='head.fc'),
    **method,
)
