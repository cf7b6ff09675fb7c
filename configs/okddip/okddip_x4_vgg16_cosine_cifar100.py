# OKDDip with the constants and recipe of MCL-OKD's comparison:
# VGG-16 (five poolings).
_base_ = [
    '../dml/dml_baseline_vgg16_cosine_cifar100.py',
    '../_base_/methods/okddip.py',
]
model = dict(
    _delete_=True,
    cohort=dict(
        type='mmkd.Cohort',
        peers=[_base_.model] * 4,
        shared=['stage1', 'stage2', 'stage3', 'stage4'],
    ),
    **_base_.method,
)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
