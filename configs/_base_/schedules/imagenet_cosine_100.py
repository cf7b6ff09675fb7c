# MCL-OKD on ImageNet: 100 epochs, batch 128 on one device,
# lr = 0.025 (1 + cos(pi e / 100)).
max_epochs = 100
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='SGD', lr=0.05, momentum=0.9, weight_decay=1e-4, nesterov=True
    ),
)
param_scheduler = dict(
    type='CosineAnnealingLR', T_max=max_epochs, eta_min=0.0, by_epoch=True
)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
val_cfg = dict()
test_cfg = dict()
