# VGG-16 of PCL: max pooling behind all five blocks, then three linear layers.
_base_ = 'vgg16_5pools.py'
model = dict(
    head=dict(
        _delete_=True,
        type='StackedLinearClsHead',
        num_classes=100,
        in_channels=512,
        mid_channels=[512, 512],
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
        topk=(1, 5),
        init_cfg=dict(type='Normal', layer='Linear', std=0.01),
    ),
)
