# A narrow ResNet-18 on Imagenette: all labels, from random weights.
_base_ = [
    '../_base_/datasets/imagenette_64.py',
    '../_base_/models/encoder_resnet18_narrow.py',
    '../_base_/cls_runtime.py',
]
model = dict(
    backbone=dict(norm_cfg=dict(_delete_=True, type='BN')),
    head=dict(
        type='LinearClsHead',
        num_classes=10,
        in_channels=128,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
        topk=(1,),
    ),
)
max_iters = 160
train_dataloader = dict(
    batch_size=64,
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True),
)
val_dataloader = test_dataloader = _base_.val_dataloader
val_evaluator = dict(topk=(1,))
test_evaluator = dict(topk=(1,))
optim_wrapper = dict(
    type='mmkd.AutocastOptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
)
param_scheduler = dict(
    type='CosineAnnealingLR', T_max=max_iters, eta_min=0.0, by_epoch=False
)
train_cfg = dict(
    type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters
)
val_cfg = dict()
test_cfg = dict()
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=max_iters, save_best=None),
    logger=dict(interval=20, log_metric_by_epoch=False),
)
log_processor = dict(by_epoch=False)
