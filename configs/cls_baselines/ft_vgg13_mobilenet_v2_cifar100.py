# FT: VGG-13 teaches MobileNetV2, factors of the last map.
_base_ = [
    '../_base_/pairs/vgg13_mobilenet_v2.py',
    '../_base_/methods/ft.py',
]
model = dict(
    losses=dict(
        ft=dict(
            paraphraser='work_dirs/ft_init_vgg13_mobilenet_v2_cifar100/epoch_30.pth',
            **_base_.loss,
            **_base_.shapes.last,
        ),
    ),
)
