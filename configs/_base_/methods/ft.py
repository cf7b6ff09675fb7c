# FT: factors of the last map.
loss = dict(
    type='mmkd.FTLoss',
    on='last',
    student_channels='auto',
    teacher_channels='auto',
    loss_weight=200.0,
)
