# SP: similarities of the last map within the batch.
loss = dict(
    type='mmkd.SPLoss',
    on='last',
    loss_weight=3000.0,
)
