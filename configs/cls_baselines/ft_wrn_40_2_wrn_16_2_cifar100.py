# FT: WRN-40-2 teaches WRN-16-2, factors of the last map.
_base_ = [
    '../_base_/pairs/wrn_40_2_wrn_16_2.py',
    '../_base_/methods/ft.py',
]
model = dict(
    losses=dict(
        ft=dict(
            paraphraser='work_dirs/ft_init_wrn_40_2_wrn_16_2_cifar100/epoch_30.pth',
            **_base_.loss,
            **_base_.shapes.last,
        ),
    ),
)
