# PKT: probabilities of neighbours, pooled features.
loss = dict(
    type='mmkd.PKTLoss',
    on='pooled',
    loss_weight=30000.0,
)
