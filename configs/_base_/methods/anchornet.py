# AnchorNet: 4 patches in training and in the cascade, IoU at most 0.3; the
# upper left window is accepted as in the authors' program.
selector = dict(
    type='mmkd.PatchSelector',
    num_patches=4,
    iou_thresholds=0.3,
    accept_top_left=True,
)
proposal = dict(
    config='mmkd::anchornet/proposal_in1k.py',
    checkpoint='work_dirs/proposal_in1k/epoch_100.pth',
)
method = dict(
    type='mmkd.PatchClassifier',
    proposal=proposal,
    freeze_proposal=True,
    selector=selector,
    test_patches='five_crops',
)
cascade = dict(
    type='mmkd.DynamicPatchClassifier',
    proposal=proposal,
    selector=selector,
    exit_thresholds=[0.85, 0.9, 0.9, 0.9, 0.0],
)
