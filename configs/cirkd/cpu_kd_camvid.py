# The student with pixel-wise distillation only.
_base_ = 'cpu_baseline_camvid.py'
model = dict(
    _delete_=True,
    type='mmkd.OfflineDistiller',
    student=_base_.model,
    teacher=dict(
        config='mmkd::cirkd/cpu_teacher_camvid.py',
        checkpoint='work_dirs/cpu_teacher_camvid/iter_3500.pth',
    ),
    taps=dict(
        feats='decode_head.conv_seg:input', logits='decode_head.conv_seg'
    ),
    losses=dict(
        kd=dict(
            type='mmkd.KLDivLoss',
            on='logits',
            temperature=1.0,
            loss_weight=1.0,
        )
    ),
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
