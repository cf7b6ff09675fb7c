# SFP on CIFAR: 200 epochs, batch 128, weight decay on all parameters; lr 0.01
# in the first epoch, then 0.1, x 0.2 after 60, 120 and 160.
max_epochs = 200
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='SGD', lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True
    ),
)
param_scheduler = [
    dict(type='ConstantLR', factor=0.1, begin=0, end=1, by_epoch=True),
    dict(
        type='MultiStepLR', milestones=[60, 120, 160], gamma=0.2, by_epoch=True
    ),
]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
val_cfg = dict()
test_cfg = dict()
