# RKD: distances and angles of the pooled features.
loss = dict(
    type='mmkd.RKDLoss',
    on='pooled',
    distance_weight=25.0,
    angle_weight=50.0,
    loss_weight=1.0,
)
