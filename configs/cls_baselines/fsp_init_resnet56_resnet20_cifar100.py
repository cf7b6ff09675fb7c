# FSP, first phase: ResNet-56 teaches ResNet-20.
_base_ = [
    '../_base_/pairs/resnet56_resnet20.py',
    '../_base_/methods/fsp.py',
    '../_base_/schedules/first_phase_30.py',
]
model = dict(
    student=_base_.no_task_loss,
    frozen_modules=_base_.after_stages,
    losses=dict(
        fsp=_base_.loss,
    ),
)
param_scheduler = _base_.constant_rate
train_cfg = _base_.thirty_epochs
default_hooks = _base_.last_checkpoint
