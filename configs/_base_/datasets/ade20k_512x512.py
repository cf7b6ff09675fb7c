# ADE20K as in CIRKD: 20210 training and 2000 validation images, 150 classes.
_base_ = 'cirkd_512x512.py'
dataset_type = 'ADE20KDataset'
data_root = '{{$MMKD_DATA:data}}/ade/ADEChallengeData2016'
load = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', reduce_zero_label=True),
]
train_pipeline = load + _base_.augmentation
test_pipeline = [*load, dict(type='PackSegInputs')]
train_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(
            img_path='images/training', seg_map_path='annotations/training'
        ),
        pipeline=train_pipeline,
    )
)
val_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(
            img_path='images/validation',
            seg_map_path='annotations/validation',
        ),
        pipeline=test_pipeline,
        test_mode=True,
    )
)
test_dataloader = {**_base_.val_dataloader, **val_dataloader}
