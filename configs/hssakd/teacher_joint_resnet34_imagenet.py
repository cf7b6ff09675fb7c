# HSAKD, Teacher*: ResNet-34 and its branches from scratch.
_base_ = [
    'baseline_resnet34_imagenet.py',
    '../_base_/methods/hsakd_teacher.py',
]
method = _base_.method
method.input_shape = (3, 224, 224)
method.aux_heads.joint.num_classes = 1000
model = dict(
    _delete_=True,
    student=_base_.model,
    taps=dict(stages='backbone.layer{1,2,3,4}'),
    **method,
)
