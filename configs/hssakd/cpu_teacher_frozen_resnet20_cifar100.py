# Teacher: branches of the trained ResNet-20, which rests; a quarter of the
# training images, 10 epochs.
_base_ = 'cpu_teacher_joint_resnet20_cifar100.py'
model = dict(
    frozen_student='work_dirs/cpu_teacher_resnet20_cifar100/epoch_20.pth'
)
train_dataloader = dict(dataset=dict(fraction=0.25))
param_scheduler = dict(T_max=10)
train_cfg = dict(max_epochs=10, val_interval=2)
