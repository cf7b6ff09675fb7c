# CL-ILR with the constants and recipe of MCL-OKD's comparison:
# VGG-16 (five poolings), three stages for all, stage 4 for pairs.
_base_ = [
    '../dml/dml_baseline_vgg16_cosine_cifar100.py',
    '../_base_/methods/cl_ilr_mclokd.py',
]
model = dict(
    _delete_=True,
    cohort=dict(peers=[_base_.model] * 4, **_base_.cohort),
    **_base_.method,
)
model['cohort']['shared'] = [['stage1', 'stage2', 'stage3'], ['stage4']]
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
