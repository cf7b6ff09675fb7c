# FitNet: hints from the second stage, regressed, trained jointly.
loss = dict(
    type='mmkd.FitNetLoss',
    on='hint',
    loss_weight=100.0,
)
