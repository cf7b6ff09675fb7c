# AFD, two networks, on synthetic scenes.
_base_ = [
    '../mcl/toy_baseline.py',
    '../_base_/methods/afd.py',
]
model = dict(
    _delete_=True,
    cohort=dict(peers=[_base_.model] * 2, **_base_.cohort),
    **_base_.method,
)
optim_wrapper = dict(_delete_=True, main=_base_.optim_wrapper, **_base_.phases)
param_scheduler = dict(
    _delete_=True, main=_base_.param_scheduler, **_base_.phase_schedules
)
for name in ('discriminator', 'adversarial'):
    param_scheduler[name]['milestones'] = [2, 5]
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
del name
