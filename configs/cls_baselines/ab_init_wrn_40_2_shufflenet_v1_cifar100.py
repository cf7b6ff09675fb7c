# AB, first phase: WRN-40-2 teaches ShuffleNetV1.
_base_ = [
    '../_base_/pairs/wrn_40_2_shufflenet_v1.py',
    '../_base_/methods/ab.py',
    '../_base_/schedules/first_phase_30.py',
]
model = dict(
    student=_base_.no_task_loss,
    frozen_modules=_base_.after_stages,
    losses=dict(
        ab=dict(**_base_.loss, **_base_.shapes.stages, **_base_.shapes.sizes),
    ),
)
param_scheduler = _base_.constant_rate
train_cfg = _base_.thirty_epochs
default_hooks = _base_.last_checkpoint
