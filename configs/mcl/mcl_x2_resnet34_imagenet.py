# MCL with a memory, two separate networks: ResNet-34.
_base_ = [
    'baseline_resnet34_imagenet.py',
    '../_base_/methods/mcl_memory.py',
]
model = dict(
    _delete_=True,
    cohort=dict(peers=[_base_.model] * 2, **_base_.cohort),
    **_base_.method,
)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
