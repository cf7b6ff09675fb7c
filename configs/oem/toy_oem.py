# OEM, three students in one run, on synthetic scenes.
_base_ = [
    '../mcl/toy_baseline.py',
    '../_base_/methods/oem.py',
]
model = dict(
    _delete_=True,
    cohort=dict(peer=_base_.model, **_base_.cohort),
    **_base_.method,
)
model['cohort']['num_students'] = 3
optim_wrapper = dict(paramwise_cfg=_base_.adaptation)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
