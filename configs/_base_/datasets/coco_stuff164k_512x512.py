# COCO-Stuff-164k as in CIRKD: 118287 training and 5000 validation images,
# the 182 ids of the label PNGs as they are published (stuffthingmaps), 11 of
# which never occur. mmseg's COCOStuffDataset has the 171 that do, in maps of
# its own converter (*_labelTrainIds.png): mIoU_all here = its mIoU x 171/182.
_base_ = 'cirkd_512x512.py'
dataset_type = 'BaseSegDataset'
data_root = '{{$MMKD_DATA:data}}/coco_stuff164k'
load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
train_pipeline = load + _base_.augmentation
test_pipeline = [*load, dict(type='PackSegInputs')]
ids = dict(classes=[f'id {k}' for k in range(1, 183)])
train_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        metainfo=ids,
        data_root=data_root,
        data_prefix=dict(
            img_path='images/train2017', seg_map_path='annotations/train2017'
        ),
        pipeline=train_pipeline,
    )
)
val_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        metainfo=ids,
        data_root=data_root,
        data_prefix=dict(
            img_path='images/val2017', seg_map_path='annotations/val2017'
        ),
        pipeline=test_pipeline,
        test_mode=True,
    )
)
test_dataloader = {**_base_.val_dataloader, **val_dataloader}
