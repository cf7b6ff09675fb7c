# Online HSSAKD on synthetic scenes: two ResNet-8.
_base_ = [
    '../mcl/toy_baseline.py',
    '../_base_/methods/hssakd_online.py',
]
method = _base_.method
method.aux_heads.joint.num_classes = 7
model = dict(
    _delete_=True,
    cohort=dict(peers=[_base_.model] * 2, **_base_.cohort),
    taps=dict(stages='backbone.layer{1,2,3}', logits='head.fc'),
    **method,
)
train_dataloader = dict(dataset=dict(num_samples=700))
train_cfg = dict(max_epochs=4)
param_scheduler = dict(T_max=4)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
