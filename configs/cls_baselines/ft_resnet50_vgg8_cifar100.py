# FT: ResNet-50 teaches VGG-8, factors of the last map.
_base_ = [
    '../_base_/pairs/resnet50_vgg8.py',
    '../_base_/methods/ft.py',
]
model = dict(
    losses=dict(
        ft=dict(
            paraphraser='work_dirs/ft_init_resnet50_vgg8_cifar100/epoch_30.pth',
            **_base_.loss,
            **_base_.shapes.last,
        ),
    ),
)
