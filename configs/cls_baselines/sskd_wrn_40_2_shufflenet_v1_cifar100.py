# SSKD: WRN-40-2, with the head of its first phase, teaches ShuffleNetV1.
_base_ = [
    '../_base_/pairs/wrn_40_2_shufflenet_v1.py',
    '../_base_/methods/sskd.py',
]
channels = _base_.shapes.pooled
model = dict(
    student=_base_.task_weight,
    teacher=dict(checkpoint='checkpoints/sskd_teacher_wrn_40_2_cifar100.pth'),
    views=_base_.views,
    aux_heads=dict(
        embeds_s=dict(in_channels=channels.student_channels, **_base_.embeds),
        embeds_t=dict(in_channels=channels.teacher_channels, **_base_.embeds),
    ),
    losses=dict(sskd=_base_.loss),
)
data_preprocessor = _base_.no_crop
