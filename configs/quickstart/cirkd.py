# The student under the teacher: pixel-wise distillation and relations
# between the pixels of several images (CIRKD). Train teacher.py first. The
# published weights are 1, 1 and 0.1; in so short a training (600 steps from
# random weights) more of kd and less of the relations was better on the
# validation scenes.
_base_ = 'student.py'
model = dict(
    _delete_=True,
    type='mmkd.OfflineDistiller',
    student=_base_.model,
    teacher=dict(
        config='{{ fileDirname }}/teacher.py',
        checkpoint='work_dirs/quickstart/teacher/iter_700.pth',
    ),
    taps=dict(
        feats='decode_head.conv_seg:input', logits='decode_head.conv_seg'
    ),
    losses=dict(
        kd=dict(
            type='mmkd.KLDivLoss',
            on='logits',
            temperature=1.0,
            loss_weight=10.0,
        ),
        minibatch=dict(
            type='mmkd.MiniBatchPixelRelationLoss',
            on='feats',
            temperature=0.1,
            group_size=2,
            loss_weight=0.2,
        ),
        memory=dict(
            type='mmkd.PixelRegionMemoryLoss',
            on='feats',
            num_classes=8,
            pixel_memory_size=2000,
            region_memory_size=500,
            pixel_contrast_size=512,
            region_contrast_size=128,
            pixel_sampling='class',
            pixel_loss_weight=0.1,
            region_loss_weight=0.1,
        ),
    ),
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
