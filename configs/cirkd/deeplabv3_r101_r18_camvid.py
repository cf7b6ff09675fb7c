# CIRKD as published: DeepLabV3-R101 teaches DeepLabV3-R18 on CamVid.
# 8 GPUs x 2 images. On one device set train_dataloader.batch_size=16; the
# pairs of the mini-batch relation remain groups of 2 images.
_base_ = 'baseline_deeplabv3_r18_camvid.py'
model = dict(
    _delete_=True,
    type='mmkd.OfflineDistiller',
    student=_base_.model,
    teacher=dict(
        config='mmkd::cirkd/teacher_deeplabv3_r101_camvid.py',
        checkpoint='checkpoints/teacher_deeplabv3_r101_camvid.pth',
    ),
    taps=dict(
        feats='decode_head.conv_seg:input',  # after ReLU and dropout
        logits='decode_head.conv_seg',
    ),
    losses=dict(
        kd=dict(
            type='mmkd.KLDivLoss',
            on='logits',
            temperature=1.0,
            loss_weight=1.0,
        ),
        minibatch=dict(
            type='mmkd.MiniBatchPixelRelationLoss',
            on='feats',
            temperature=0.1,
            group_size=2,
            loss_weight=1.0,  # alpha
        ),
        memory=dict(
            type='mmkd.PixelRegionMemoryLoss',
            on='feats',
            num_classes=11,
            pixel_memory_size=20000,
            region_memory_size=2000,
            pixel_contrast_size=4096,
            region_contrast_size=1024,
            pixels_per_class=16,
            contrast_temperature=0.1,
            contrast_kd_temperature=1.0,
            pixel_sampling='leading',  # what the published numbers used
            pixel_loss_weight=0.1,  # beta
            region_loss_weight=0.1,  # gamma
        ),
    ),
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
