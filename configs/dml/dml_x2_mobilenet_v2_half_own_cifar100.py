# DML, two MobileNets, recipe of its paper. The paper has MobileNet (V1) of
# 3.3 M parameters; this is MobileNetV2 of half the width, another network.
_base_ = [
    'dml_baseline_mobilenet_v2_half_own_cifar100.py',
    '../_base_/methods/dml.py',
]
model = dict(
    _delete_=True,
    cohort=dict(peers=[_base_.model] * 2, **_base_.cohort),
    **_base_.method,
)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
