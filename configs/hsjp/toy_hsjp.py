# HSJP on synthetic stick figures: puzzles of 2x2 patches, no data needed.
_base_ = 'toy_scratch.py'
grid = (2, 2)
puzzle_codec = dict(_base_.codec, type='JigsawHeatmap', grid_size=grid)
meta_keys = (
    'id', 'img_id', 'input_size', 'input_center', 'input_scale',
    'jigsaw_permutation',
)  # fmt: skip
train_pipeline = [
    dict(type='mmkd.LoadScene'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='TopdownAffine', input_size=_base_.codec.input_size),
    dict(type='mmkd.JigsawShuffle', grid_size=grid),
    dict(type='GenerateTarget', encoder=puzzle_codec),
    dict(type='PackPoseInputs', meta_keys=meta_keys),
]
val_pipeline = [
    dict(type='mmkd.LoadScene'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=_base_.codec.input_size),
    dict(type='mmkd.JigsawShuffle', grid_size=grid, deterministic=True),
    dict(type='PackPoseInputs', meta_keys=meta_keys),
]
model = dict(
    head=dict(
        type='mmkd.JigsawHeatmapHead', out_channels=4, decoder=puzzle_codec
    ),
    test_cfg=dict(_delete_=True, flip_test=False),
)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='mmkd.JigsawAccuracy')
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(save_best='jigsaw/patch_accuracy'))
