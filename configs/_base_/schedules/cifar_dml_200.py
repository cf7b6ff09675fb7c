# DML's paper: 200 epochs, batch 64, lr x 0.1 every 60 epochs. Its Nesterov
# momentum of 0.9 is recalled; the weight decay is ours.
max_epochs = 200
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='SGD', lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True
    ),
)
param_scheduler = dict(
    type='MultiStepLR', milestones=[60, 120, 180], gamma=0.1, by_epoch=True
)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
val_cfg = dict()
test_cfg = dict()
