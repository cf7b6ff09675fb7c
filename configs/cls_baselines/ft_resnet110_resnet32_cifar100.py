# FT: ResNet-110 teaches ResNet-32, factors of the last map.
_base_ = [
    '../_base_/pairs/resnet110_resnet32.py',
    '../_base_/methods/ft.py',
]
model = dict(
    losses=dict(
        ft=dict(
            paraphraser='work_dirs/ft_init_resnet110_resnet32_cifar100/epoch_30.pth',
            **_base_.loss,
            **_base_.shapes.last,
        ),
    ),
)
