# The cascade on Imagenette: the whole image, then up to 5 patches. The
# thresholds were searched on held-out training images.
_base_ = [
    '../_base_/datasets/imagenette_128.py',
    '../_base_/cls_runtime.py',
]
model = dict(
    type='mmkd.DynamicPatchClassifier',
    proposal=dict(
        config='mmkd::anchornet/cpu_proposal_imagenette.py',
        checkpoint='work_dirs/cpu_proposal_imagenette/epoch_40.pth',
    ),
    global_net=dict(
        config='mmkd::anchornet/cpu_global_imagenette.py',
        checkpoint='work_dirs/cpu_global_imagenette/epoch_15.pth',
    ),
    patch_net=dict(
        config='mmkd::anchornet/cpu_full_imagenette.py',
        checkpoint='work_dirs/cpu_patch_imagenette/epoch_5.pth',
    ),
    selector=dict(
        type='mmkd.PatchSelector',
        num_patches=5,
        iou_thresholds=0.3,
        accept_top_left=False,
    ),
    exit_thresholds=[0.8397, 0.7917, 0.7906, 0.564, 0.7277, 0.0],
)
val_evaluator = dict(_delete_=True, type='mmkd.DynamicAccuracy', topk=(1, 5))
test_evaluator = val_evaluator
test_cfg = dict()
val_cfg = dict()
