# FT, first phase: paraphraser of ResNet-50, for VGG-8, which rests.
_base_ = [
    '../_base_/pairs/resnet50_vgg8.py',
    '../_base_/methods/paraphrase.py',
    '../_base_/schedules/first_phase_30.py',
]
model = dict(
    student=_base_.no_task_loss,
    frozen_modules=['backbone', 'head'],
    losses=dict(
        paraphrase=dict(
            teacher_channels=_base_.shapes.last.teacher_channels,
            **_base_.loss,
        ),
    ),
)
optim_wrapper = dict(optimizer=dict(lr=0.05))
param_scheduler = _base_.constant_rate
train_cfg = _base_.thirty_epochs
default_hooks = _base_.last_checkpoint
