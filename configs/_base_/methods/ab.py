# AB: boundaries of the activations of all stages.
loss = dict(
    type='mmkd.ABLoss',
    on='pre_relu',
    margin=1.0,
    loss_weight=1.0,
)
