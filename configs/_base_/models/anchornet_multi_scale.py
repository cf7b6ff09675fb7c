# AnchorNet with three localisation branches: patches of 31, 63 and 95 pixels.
# The branches are our choice: the table of arXiv 2002.03737 could not be read.
_base_ = 'anchornet.py'
model = dict(
    backbone=dict(out_indices=(2, 4, 6)),
    head=dict(
        _delete_=True,
        type='mmkd.BranchClsHead',
        num_classes=1000,
        in_channels=512,
        num_branches=3,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
        topk=(1, 5),
    ),
)
