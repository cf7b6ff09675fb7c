# ResNet-18 of a quarter of the width, of stock mmpretrain parts, for one CPU
# core.
model = dict(
    type='ImageClassifier',
    _scope_='mmpretrain',
    backbone=dict(
        type='ResNet',
        depth=18,
        stem_channels=16,
        base_channels=16,
        zero_init_residual=False,
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=10,
        in_channels=128,
        topk=(1,),
        init_cfg=None,  # PyTorch's default
    ),
)
