# ResNet-18 without a head. Statistics of batch norm are those of 32 images,
# as on 8 GPUs with 32 each, whatever the batch of a process.
model = dict(
    type='ImageClassifier',
    _scope_='mmpretrain',
    backbone=dict(
        type='ResNet',
        depth=18,
        norm_cfg=dict(type='mmkd.GroupedBatchNorm', group_size=32),
        zero_init_residual=False,
    ),
    neck=dict(type='GlobalAveragePooling'),
)
