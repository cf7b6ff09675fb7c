# OEM's code for CIFAR-100: Adam, x 0.1 after 200 and 300 of 350 epochs.
max_epochs = 350
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=1e-3, weight_decay=1e-5),
)
param_scheduler = dict(
    type='MultiStepLR', milestones=[200, 300], gamma=0.1, by_epoch=True
)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
val_cfg = dict()
test_cfg = dict()
