# HSJP for crops of 256x192 pixels (height x width): puzzles of 4x3 patches of
# 64x64 pixels. A pretraining config merges these parts into the stock mmpose
# config of the network that is to be fine-tuned.
custom_imports = dict(imports=['mmkd'], allow_failed_imports=False)
randomness = dict(seed=0)
grid = (4, 3)
input_size = (192, 256)
puzzle_codec = dict(
    type='JigsawHeatmap',
    input_size=input_size,
    heatmap_size=(48, 64),
    sigma=2,
    grid_size=grid,
)
puzzle_meta_keys = (
    'id', 'img_id', 'img_path', 'input_size', 'input_center', 'input_scale',
    'jigsaw_permutation',
)  # fmt: skip
puzzle_train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.25),
    dict(type='RandomFlip', direction='horizontal'),
    dict(
        type='RandomBBoxTransform',
        shift_prob=0,
        rotate_prob=0,
        scale_factor=(0.75, 1.25),
    ),
    dict(type='TopdownAffine', input_size=input_size),
    dict(type='mmkd.JigsawShuffle', grid_size=grid),
    dict(type='GenerateTarget', encoder=puzzle_codec),
    dict(type='PackPoseInputs', meta_keys=puzzle_meta_keys),
]
puzzle_val_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.25),
    dict(type='TopdownAffine', input_size=input_size),
    dict(type='mmkd.JigsawShuffle', grid_size=grid, deterministic=True),
    dict(type='PackPoseInputs', meta_keys=puzzle_meta_keys),
]
# The people of fine-tuning. All boxes: require_keypoints=False,
# min_box_side=32.
puzzle_train_set = dict(
    type='mmkd.CocoPersonCropDataset',
    require_keypoints=True,
    data_root='data/coco/',
    data_mode='topdown',
    ann_file='annotations/person_keypoints_train2017.json',
    data_prefix=dict(img='train2017/'),
    pipeline=puzzle_train_pipeline,
)
puzzle_val_set = dict(
    type='mmkd.CocoPersonCropDataset',
    require_keypoints=True,
    data_root='data/coco/',
    data_mode='topdown',
    ann_file='annotations/person_keypoints_val2017.json',
    data_prefix=dict(img='val2017/'),
    test_mode=True,
    pipeline=puzzle_val_pipeline,
)
# The backbones' own initialisers: no ImageNet weights.
resnet_init = [
    dict(type='Kaiming', layer=['Conv2d']),
    dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm']),
]
hrnet_init = [
    dict(type='Normal', std=0.001, layer=['Conv2d']),
    dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm']),
]
