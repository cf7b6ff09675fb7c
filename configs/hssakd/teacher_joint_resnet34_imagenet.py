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
custom_hooks = [dict(type='mmkd.ViewMetricsHook')]
# by the branches, as published
default_hooks = dict(checkpoint=dict(save_best='joint_accuracy'))
