# DKD: target class and other classes apart. beta: in the config.
loss = dict(
    type='mmkd.DKDLoss',
    on='logits',
    alpha=1.0,
    temperature=4.0,
    warmup_epochs=20,
    loss_weight=1.0,
)
