# FSP: flow between stem and stages.
# In the first phase the published code leaves its weight, 50, out.
loss = dict(
    type='mmkd.FSPLoss',
    on='flow',
    loss_weight=1.0,
)
