# The cascade on synthetic scenes: the whole image, then up to 2 patches.
_base_ = [
    '../_base_/datasets/toy_patches.py',
    '../_base_/schedules/toy_patches_4e.py',
    '../_base_/cls_runtime.py',
]
model = dict(
    type='mmkd.DynamicPatchClassifier',
    proposal=dict(
        config='mmkd::anchornet/toy_proposal.py',
        checkpoint='work_dirs/toy_proposal/epoch_4.pth',
    ),
    global_net=dict(
        config='mmkd::anchornet/toy_global.py',
        checkpoint='work_dirs/toy_global/epoch_4.pth',
    ),
    patch_net=dict(
        config='mmkd::anchornet/toy_full.py',
        checkpoint='work_dirs/toy_patch/epoch_4.pth',
    ),
    selector=dict(
        type='mmkd.PatchSelector',
        num_patches=2,
        iou_thresholds=0.3,
        accept_top_left=False,
    ),
    exit_thresholds=[0.8, 0.8, 0.0],
)
val_evaluator = dict(_delete_=True, type='mmkd.DynamicAccuracy', topk=(1,))
test_evaluator = val_evaluator
