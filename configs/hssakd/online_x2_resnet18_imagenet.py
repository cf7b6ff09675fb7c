# Online HSSAKD: two ResNet-18.
_base_ = [
    'baseline_resnet18_imagenet.py',
    '../_base_/methods/hssakd_online.py',
]
method = _base_.method
method.input_shape = (3, 224, 224)
method.aux_heads.joint.num_classes = 1000
model = dict(
    _delete_=True,
    cohort=dict(peers=[_base_.model] * 2, **_base_.cohort),
    taps=dict(stages='backbone.layer{1,2,3,4}', logits='head.fc'),
    **method,
)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
