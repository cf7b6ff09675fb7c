# OKDHP: three branches of cpu_baseline_lspet.py, stem and first of two stacks
# shared.
_base_ = ['cpu_baseline_lspet.py', '../_base_/methods/okdhp.py']
model = dict(
    _delete_=True,
    cohort=dict(
        type='mmkd.HourglassCohort',
        peer=_base_.model,
        shared_stacks=1,
        individual_stacks=(1, 1, 1),
    ),
    **_base_.method,
)
model['exchange']['ramp_epochs'] = 0  # iterations are counted here
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
