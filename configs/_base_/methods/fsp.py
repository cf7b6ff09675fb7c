# FSP: flow between stem and stages.
loss = dict(
    type='mmkd.FSPLoss',
    on='flow',
    loss_weight=50.0,
)
