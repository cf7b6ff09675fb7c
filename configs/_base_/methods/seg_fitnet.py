# FitNet: the teacher's features, from the student's by a 1x1 convolution.
losses = dict(
    fitnet=dict(
        type='mmkd.FitNetLoss',
        on='feats',
        student_channels='auto',
        teacher_channels='auto',
        loss_weight=10.0,
    )
)
