# AB: boundaries of the activations of all stages.
loss = dict(
    type='mmkd.ABLoss',
    on='pre_relu',
    margin=1.0,
    student_channels='auto',
    teacher_channels='auto',
    student_sizes='auto',
    teacher_sizes='auto',
    loss_weight=1.0,
)
