# As cpu_scratch_lspet.py, but the backbone solved puzzles before.
_base_ = 'cpu_scratch_lspet.py'
checkpoint = '{{$HSJP_CHECKPOINT:work_dirs/cpu_hsjp_lspet/iter_3000.pth}}'
model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained', prefix='backbone.', checkpoint=checkpoint
        )
    )
)
