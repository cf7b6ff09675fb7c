# CIRKDv2: a context block in front of all relations, relations of channels,
# and the features themselves (FitNet; its weight is set by the configs).
_base_ = 'cirkd.py'
relation = dict(student='context', teacher='feats')
method = dict(
    aux_heads=dict(context=dict(type='mmkd.ContextBlock', on='feats')),
    losses=dict(
        minibatch=dict(on=dict(_delete_=True, **relation), auto_pool=True),
        memory=dict(on=dict(_delete_=True, **relation)),
        channels=dict(
            type='mmkd.ChannelRelationLoss',
            on=relation,
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
            on=relation,
            student_channels='auto',
            teacher_channels='auto',
            loss_weight=1.0,
        ),
    ),
)
