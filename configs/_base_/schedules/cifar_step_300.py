# OKDDip's comparison of all methods: 300 epochs, batch 128 on one device,
# lr x 0.1 after 150 and 225.
max_epochs = 300
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='SGD', lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True
    ),
)
param_scheduler = dict(
    type='MultiStepLR', milestones=[150, 225], gamma=0.1, by_epoch=True
)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
val_cfg = dict()
test_cfg = dict()
