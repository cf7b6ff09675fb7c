# SSKD: ResNet-20, with the head of its first phase, teaches ResNet-8.
_base_ = [
    '../_base_/pairs/cpu_resnet20_resnet8.py',
    '../_base_/methods/sskd.py',
]
model = dict(
    student=_base_.task_weight,
    teacher=dict(
        checkpoint='work_dirs/cpu_sskd_teacher_resnet20_cifar100/epoch_8.pth'
    ),
    views=_base_.views,
    aux_heads=dict(embeds_s=_base_.embeds, embeds_t=_base_.embeds),
    losses=dict(sskd=_base_.loss),
)
data_preprocessor = _base_.no_crop
