# FitNet on the levels of a pyramid: a 1x1 convolution of its own for each.
loss = dict(
    type='mmkd.FitNetLoss',
    on='pyramid',
    student_channels='auto',
    teacher_channels='auto',
)
