# HSJP on the boxes of all 1000 people: 4x3 patches of 32x32 pixels. Key points
# are not used.
_base_ = 'cpu_scratch_lspet.py'
grid = (4, 3)
puzzle_codec = dict(_base_.codec, type='JigsawHeatmap', grid_size=grid)
meta_keys = (
    'id', 'img_id', 'img_path', 'input_size', 'input_center', 'input_scale',
    'jigsaw_permutation',
)  # fmt: skip
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(
        type='RandomBBoxTransform',
        shift_prob=0,
        rotate_prob=0,
        scale_factor=(0.75, 1.25),
    ),
    dict(type='TopdownAffine', input_size=_base_.codec.input_size),
    dict(type='mmkd.JigsawShuffle', grid_size=grid),
    dict(type='GenerateTarget', encoder=puzzle_codec),
    dict(type='PackPoseInputs', meta_keys=meta_keys),
]
val_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=_base_.codec.input_size),
    dict(type='mmkd.JigsawShuffle', grid_size=grid, deterministic=True),
    dict(type='PackPoseInputs', meta_keys=meta_keys),
]
people = dict(
    type='mmkd.CocoPersonCropDataset',
    require_keypoints=False,
    metainfo=dict(from_file='configs/_base_/datasets/aic.py'),
)
model = dict(
    head=dict(
        type='mmkd.JigsawHeatmapHead', out_channels=12, decoder=puzzle_codec
    ),
    test_cfg=dict(_delete_=True, flip_test=False),
)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline, **people))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline, **people))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='mmkd.JigsawAccuracy')
test_evaluator = val_evaluator
max_iters = 3000
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, end=100, by_epoch=False),
    dict(type='PolyLR', power=0.9, begin=100, end=max_iters, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters, val_interval=300)
default_hooks = dict(
    checkpoint=dict(interval=300, save_best='jigsaw/patch_accuracy')
)
