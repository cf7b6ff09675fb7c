# FitNet: hints from the second stage, regressed, trained jointly.
loss = dict(
    type='mmkd.FitNetLoss',
    on='hint',
    student_channels='auto',
    teacher_channels='auto',
    student_size='auto',
    teacher_size='auto',
    loss_weight=100.0,
)
