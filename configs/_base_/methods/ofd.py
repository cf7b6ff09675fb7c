# OFD: values before the ReLU, above margins of the teacher's batch norms.
loss = dict(
    type='mmkd.OFDLoss',
    on=dict(student='pre_relu', teacher=['pre_relu', 'margins']),
    student_channels='auto',
    teacher_channels='auto',
    loss_weight=1e-3,
)
