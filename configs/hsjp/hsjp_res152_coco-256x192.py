# HSJP of ResNet-152 on the person crops of COCO, no labels, no ImageNet.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/coco/'
    'td-hm_res152_8xb32-210e_coco-256x192.py',
    '../_base_/methods/hsjp_256x192.py',
]
model = dict(
    backbone=dict(init_cfg=_base_.resnet_init),
    head=dict(
        type='mmkd.JigsawHeatmapHead',
        out_channels=12,
        decoder=dict(_delete_=True, **_base_.puzzle_codec),
    ),
    test_cfg=dict(_delete_=True, flip_test=False),
)
train_dataloader = dict(dataset=dict(_delete_=True, **_base_.puzzle_train_set))
val_dataloader = dict(dataset=dict(_delete_=True, **_base_.puzzle_val_set))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='mmkd.JigsawAccuracy')
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(save_best='jigsaw/patch_accuracy'))
