# As toy_scratch.py, but the backbone solved puzzles before.
_base_ = 'toy_scratch.py'
checkpoint = '{{$HSJP_CHECKPOINT:work_dirs/toy_hsjp/iter_300.pth}}'
model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained', prefix='backbone.', checkpoint=checkpoint
        )
    )
)
