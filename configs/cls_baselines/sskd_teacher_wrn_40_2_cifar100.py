# SSKD, first phase: the head of WRN-40-2, whose weights stay.
_base_ = [
    'teacher_wrn_40_2_cifar100.py',
    '../_base_/methods/sskd_teacher.py',
]
model = dict(
    _delete_=True,
    type='mmkd.OfflineDistiller',
    student=_base_.model,
    frozen_student='checkpoints/teacher_wrn_40_2_cifar100.pth',
    views=_base_.views,
    taps=dict(pooled='neck'),
    aux_heads=dict(embeds_t=dict(in_channels=128, **_base_.embeds)),
    losses=dict(match=_base_.loss),
    input_shape=(3, 32, 32),
)
data_preprocessor = _base_.no_crop
param_scheduler = _base_.head_schedule
train_cfg = _base_.sixty_epochs
default_hooks = _base_.last_checkpoint
