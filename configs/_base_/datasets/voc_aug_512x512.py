# Pascal VOC with the extra labels of SBD, as in CIRKD: 10582 training and
# 1449 validation images, 21 classes; folders of mmseg's converter
# (tools/dataset_converters/voc_aug.py).
_base_ = 'cirkd_512x512.py'
dataset_type = 'PascalVOCDataset'
data_root = '{{$MMKD_DATA:data}}/VOCdevkit/VOC2012'
load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
train_pipeline = load + _base_.augmentation
test_pipeline = [*load, dict(type='PackSegInputs')]
train_dataloader = dict(
    dataset=dict(
        type='ConcatDataset',
        datasets=[
            dict(
                type=dataset_type,
                data_root=data_root,
                data_prefix=dict(img_path='JPEGImages', seg_map_path=labels),
                ann_file=f'ImageSets/Segmentation/{split}.txt',
                pipeline=train_pipeline,
            )
            for split, labels in (
                ('train', 'SegmentationClass'),
                ('aug', 'SegmentationClassAug'),
            )
        ],
    )
)
val_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(
            img_path='JPEGImages', seg_map_path='SegmentationClass'
        ),
        ann_file='ImageSets/Segmentation/val.txt',
        pipeline=test_pipeline,
        test_mode=True,
    )
)
test_dataloader = {**_base_.val_dataloader, **val_dataloader}
