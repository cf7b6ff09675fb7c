# Stage 3 on Imagenette: 4 patches of 47 pixels of each image.
_base_ = [
    '../_base_/datasets/imagenette_128.py',
    '../_base_/models/efficientnet_lite0_imagenette.py',
    '../_base_/schedules/cpu_finetune_3e.py',
    '../_base_/cls_runtime.py',
]
model = dict(
    type='mmkd.PatchClassifier',
    proposal=dict(
        config='mmkd::anchornet/cpu_proposal_imagenette.py',
        checkpoint='work_dirs/cpu_proposal_imagenette/epoch_40.pth',
    ),
    freeze_proposal=True,
    selector=dict(
        type='mmkd.PatchSelector',
        num_patches=4,
        iou_thresholds=0.3,
        accept_top_left=False,
    ),
    test_patches='selected',
)
max_epochs = 5
param_scheduler = dict(T_max=max_epochs)
train_cfg = dict(max_epochs=max_epochs, val_interval=5)
