# MoCo on one CPU core: 200 epochs, bfloat16, cosine.
max_epochs = 200
optim_wrapper = dict(
    type='mmkd.AutocastOptimWrapper',
    optimizer=dict(type='SGD', lr=0.03, momentum=0.9, weight_decay=5e-4),
)
param_scheduler = dict(
    type='CosineAnnealingLR', T_max=max_epochs, eta_min=0.0, by_epoch=True
)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs)
