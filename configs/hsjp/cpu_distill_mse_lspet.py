# The small network learns the heat maps of the HRNet beside its task.
_base_ = 'cpu_scratch_lspet.py'
model = dict(
    _delete_=True,
    type='mmkd.OfflineDistiller',
    student=_base_.model,
    teacher=dict(
        config='configs/hsjp/cpu_teacher_lspet.py',
        checkpoint='{{$HSJP_TEACHER:work_dirs/cpu_teacher_lspet/iter_3000.pth}}',
    ),
    taps=dict(heatmaps='head.final_layer'),
    losses=dict(
        mse=dict(
            type='mmpose.KeypointMSELoss',
            on='heatmaps',
            use_target_weight=False,
        )
    ),
)
