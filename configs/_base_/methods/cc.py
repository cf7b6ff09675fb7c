# CC: congruence of neighbours in the batch, pooled features.
loss = dict(
    type='mmkd.CCLoss',
    on='pooled',
    feat_dim=128,
    student_channels='auto',
    teacher_channels='auto',
    loss_weight=0.02,
)
