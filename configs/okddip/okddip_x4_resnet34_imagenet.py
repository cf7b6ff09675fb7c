# OKDDip, three auxiliary branches and the leader: ResNet-34.
# All but the last stage is shared. The schedule is that of our other ImageNet
# configs.
_base_ = [
    '../mcl/baseline_resnet34_imagenet.py',
    '../_base_/methods/okddip.py',
]
model = dict(
    _delete_=True,
    cohort=dict(
        type='mmkd.Cohort',
        peers=[_base_.model] * 4,
        shared=['stem', 'stage1', 'stage2', 'stage3'],
    ),
    **_base_.method,
)
model['input_shape'] = (3, 224, 224)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
