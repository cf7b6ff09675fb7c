# VID: likelihood of the stages of the teacher.
loss = dict(
    type='mmkd.VIDLoss',
    on='stages',
    init_var=5.0,
    loss_weight=1.0,
)
