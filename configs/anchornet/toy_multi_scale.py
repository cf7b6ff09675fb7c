# Stage 1 with two branches on synthetic scenes: patches of 31 and 47 pixels.
_base_ = 'toy_proposal.py'
model = dict(
    backbone=dict(num_stride1_blocks=2, out_indices=(2, 3)),
    head=dict(
        _delete_=True,
        type='mmkd.BranchClsHead',
        num_classes=7,
        in_channels=64,
        num_branches=2,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
        topk=(1,),
    ),
)
