# AT: attention maps of all stages.
loss = dict(
    type='mmkd.ATLoss',
    on='stages',
    p=2,
    loss_weight=1000.0,
)
