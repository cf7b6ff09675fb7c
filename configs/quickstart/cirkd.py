# The student under the teacher: pixel-wise distillation and relations
# between the pixels of several images (CIRKD). Train teacher.py first.
_base_ = 'student.py'
model = dict(
    _delete_=True,
    type='mmkd.OfflineDistiller',
    student=_base_.model,
    teacher=dict(
        config='{{ fileDirname }}/teacher.py',
        checkpoint='work_dirs/quickstart/teacher/iter_900.pth',
    ),
    taps=dict(
        feats='decode_head.conv_seg:input', logits='decode_head.conv_seg'
    ),
    losses=dict(
        kd=dict(type='mmkd.KLDivLoss', on='logits', temperature=1.0),
        minibatch=dict(
            type='mmkd.MiniBatchPixelRelationLoss',
            on='feats',
            temperature=0.1,
            group_size=2,
        ),
        memory=dict(
            type='mmkd.PixelRegionMemoryLoss',
            on='feats',
            num_classes=8,
            student_channels=32,
            teacher_channels=64,
            pixel_memory_size=2000,
            region_memory_size=500,
            pixel_contrast_size=512,
            region_contrast_size=128,
            pixel_sampling='class',
        ),
    ),
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
