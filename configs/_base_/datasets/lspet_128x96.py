# 1250 people of Leeds Sports Pose Extended (1000 / 250) with 14 joints, small
# enough for one CPU core: crops of 128x96 pixels, heat maps of 32x24.
dataset_type = 'AicDataset'  # it has these 14 joints
data_root = '{{$MMKD_DATA:data}}/lspet'
train_ann = 'annotations/lspet_train_aic14.json'
val_ann = 'annotations/lspet_val_aic14.json'
codec = dict(
    type='MSRAHeatmap', input_size=(96, 128), heatmap_size=(24, 32), sigma=1
)
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    # weaker than usual: for tens of epochs, not hundreds
    dict(
        type='RandomBBoxTransform',
        shift_prob=0,
        rotate_factor=40,
        scale_factor=(0.75, 1.25),
    ),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs'),
]
val_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='PackPoseInputs'),
]
train_dataloader = dict(
    batch_size=32,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_mode='topdown',
        ann_file=train_ann,
        data_prefix=dict(img='images/'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=50,
    num_workers=0,
    persistent_workers=False,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_mode='topdown',
        ann_file=val_ann,
        data_prefix=dict(img='images/'),
        test_mode=True,
        pipeline=val_pipeline,
    ),
)
test_dataloader = val_dataloader
# Share of joints closer to the truth than a tenth of the box's longer side.
val_evaluator = dict(type='PCKAccuracy', thr=0.1, norm_item='bbox')
test_evaluator = val_evaluator
