# 10 epochs of batches of 32.
max_epochs = 10
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.06, momentum=0.9, weight_decay=5e-4),
)
param_scheduler = dict(
    type='CosineAnnealingLR', T_max=max_epochs, eta_min=0.0, by_epoch=True
)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs)
