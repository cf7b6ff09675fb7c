# CC: congruence of neighbours in the batch, pooled features.
loss = dict(
    type='mmkd.CCLoss',
    on='pooled',
    feat_dim=128,
    loss_weight=0.02,
)
