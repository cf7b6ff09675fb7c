# CIRKD: pixel KD, relations in the mini-batch and to a memory.
method = dict(
    type='mmkd.OfflineDistiller',
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
