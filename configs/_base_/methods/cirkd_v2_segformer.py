# CIRKDv2 with SegFormer: no context block.
_base_ = 'cirkd_segformer.py'
method = dict(
    losses=dict(
        minibatch=dict(pool=None, auto_pool=True),
        channels=dict(
            type='mmkd.ChannelRelationLoss',
            on='feats',
            pool=4,
            queue_size=10000,
            contrast_size=2048,
            rows_per_step=256,
            temperature=0.1,
            kd_temperature=1.0,
            group_size=2,
            minibatch_loss_weight=1.0,
            memory_loss_weight=0.1,
            mse_loss_weight=100.0,
        ),
        fitnet=dict(
            type='mmkd.FitNetLoss',
            on='feats',
            student_channels='auto',
            teacher_channels='auto',
            loss_weight=1.0,
        ),
    )
)
