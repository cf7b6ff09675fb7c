# FT: factors of the last map.
loss = dict(
    type='mmkd.FTLoss',
    on='last',
    loss_weight=200.0,
)
