# ReviewKD: fused stages and pooled features. The weight is that of most
# pairs; others: in the config.
loss = dict(
    type='mmkd.ReviewKDLoss',
    on='review',
    fusion=dict(type='mmkd.ReviewFusion'),
    warmup_epochs=20,
    loss_weight=5.0,
)
