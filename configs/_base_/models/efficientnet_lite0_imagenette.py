# EfficientNet-Lite0 with the ten classes of Imagenette, from the weights
# that tools/model_converters/efficientnet_lite.py writes.
pretrained = 'checkpoints/efficientnet_lite0_imagenette.pth'
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='mmkd.EfficientNetLite',
        init_cfg=dict(
            type='Pretrained', checkpoint=pretrained, prefix='backbone.'
        ),
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=10,
        in_channels=1280,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
        topk=(1, 5),
        init_cfg=dict(
            type='Pretrained', checkpoint=pretrained, prefix='head.'
        ),
    ),
)
