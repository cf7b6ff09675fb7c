# OEM's code for CIFAR-10: SGD; rate, epochs and drops differ by network.
max_epochs = 350
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4),
)
param_scheduler = dict(
    type='MultiStepLR', milestones=[150, 250], gamma=0.1, by_epoch=True
)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
val_cfg = dict()
test_cfg = dict()
