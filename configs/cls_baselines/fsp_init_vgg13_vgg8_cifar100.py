# FSP, first phase: VGG-13 teaches VGG-8.
_base_ = [
    '../_base_/pairs/vgg13_vgg8.py',
    '../_base_/methods/fsp.py',
    '../_base_/schedules/first_phase_30.py',
]
model = dict(
    student=_base_.no_task_loss,
    losses=dict(
        fsp=_base_.loss,
    ),
)
optim_wrapper = _base_.features_only
param_scheduler = _base_.constant_rate
train_cfg = _base_.thirty_epochs
default_hooks = _base_.last_checkpoint
