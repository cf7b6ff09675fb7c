# AB, first phase: ResNet-32x4 teaches ResNet-8x4.
_base_ = [
    '../_base_/pairs/resnet32x4_resnet8x4.py',
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
