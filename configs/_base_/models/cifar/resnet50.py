# ResNet-50 with a CIFAR stem: mmpretrain's own network.
_base_ = 'resnet20.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='ResNet_CIFAR',
        depth=50,
        num_stages=4,
        out_indices=(3,),
        style='pytorch',
        zero_init_residual=False,
    ),
    head=dict(in_channels=2048),
)
