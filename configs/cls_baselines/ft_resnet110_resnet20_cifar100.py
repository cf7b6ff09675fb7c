# FT: ResNet-110 teaches ResNet-20, factors of the last map.
_base_ = [
    '../_base_/pairs/resnet110_resnet20.py',
    '../_base_/methods/ft.py',
]
model = dict(
    losses=dict(
        ft=dict(
            paraphraser='work_dirs/ft_init_resnet110_resnet20_cifar100/epoch_30.pth',
            **_base_.loss,
            **_base_.shapes.last,
        ),
    ),
)
