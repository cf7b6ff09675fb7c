# AnchorNet, the network that proposes patches of 95 pixels: 0.06 G
# multiply-adds at 224x224.
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='mmkd.AnchorNetBackbone', num_stride1_blocks=5, with_se=True
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=1000,
        in_channels=512,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
        topk=(1, 5),
        init_cfg=dict(type='Normal', layer='Linear', std=0.001),
    ),
)
