# The student with all of CIRKD, weights as published; memory as small as the
# data: 2000 of at most 367 x 16 pixels per class and epoch, 500 regions.
_base_ = 'cpu_kd_camvid.py'
model = dict(
    losses=dict(
        minibatch=dict(
            type='mmkd.MiniBatchPixelRelationLoss',
            on='feats',
            temperature=0.1,
            group_size=2,
            loss_weight=1.0,
        ),
        memory=dict(
            type='mmkd.PixelRegionMemoryLoss',
            on='feats',
            num_classes=11,
            pixel_memory_size=2000,
            region_memory_size=500,
            pixel_contrast_size=1024,
            region_contrast_size=256,
            pixels_per_class=16,
            contrast_temperature=0.1,
            contrast_kd_temperature=1.0,
            pixel_sampling='leading',
            pixel_loss_weight=0.1,
            region_loss_weight=0.1,
        ),
    )
)
