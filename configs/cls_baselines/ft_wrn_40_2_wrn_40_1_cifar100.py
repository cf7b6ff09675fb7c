# FT: WRN-40-2 teaches WRN-40-1, factors of the last map.
_base_ = [
    '../_base_/pairs/wrn_40_2_wrn_40_1.py',
    '../_base_/methods/ft.py',
]
model = dict(
    losses=dict(
        ft=dict(
            paraphraser='work_dirs/ft_init_wrn_40_2_wrn_40_1_cifar100/epoch_30.pth',
            **_base_.loss,
            **_base_.shapes.last,
        ),
    ),
)
