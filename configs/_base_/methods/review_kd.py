# ReviewKD: fused stages and pooled features. The weight is known for
# ResNet-32x4 to 8x4 alone; other pairs take the same.
loss = dict(
    type='mmkd.ReviewKDLoss',
    on='review',
    warmup_epochs=20,
    loss_weight=5.0,
)
