# SSKD, first phase: the head of ResNet-20, whose weights stay; a quarter of
# the training images, 8 epochs.
_base_ = [
    'cpu_teacher_resnet20_cifar100.py',
    '../_base_/methods/sskd_teacher.py',
]
model = dict(
    _delete_=True,
    type='mmkd.OfflineDistiller',
    student=_base_.model,
    frozen_student='work_dirs/cpu_teacher_resnet20_cifar100/epoch_20.pth',
    views=_base_.views,
    taps=dict(pooled='neck'),
    aux_heads=dict(embeds_t=_base_.embeds),
    losses=dict(match=_base_.loss),
    input_shape=(3, 32, 32),
)
data_preprocessor = _base_.no_crop
train_dataloader = dict(dataset=dict(fraction=0.25))
max_epochs = 8
param_scheduler = dict(T_max=max_epochs)
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
default_hooks = _base_.last_checkpoint
