# Stage 3 on synthetic scenes: 2 patches of each image.
_base_ = [
    '../_base_/datasets/toy_patches.py',
    '../_base_/models/cifar/resnet8.py',
    '../_base_/schedules/toy_patches_4e.py',
    '../_base_/cls_runtime.py',
]
model = dict(
    type='mmkd.PatchClassifier',
    proposal=dict(
        config='mmkd::anchornet/toy_proposal.py',
        checkpoint='work_dirs/toy_proposal/epoch_4.pth',
    ),
    selector=dict(
        type='mmkd.PatchSelector',
        num_patches=2,
        iou_thresholds=0.3,
        accept_top_left=False,
    ),
    head=dict(num_classes=7, topk=(1,)),
)
