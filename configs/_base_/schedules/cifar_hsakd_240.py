# HSAKD: 240 epochs, Nesterov momentum, weight decay on all parameters,
# lr x 0.1 after 150, 180 and 210. MobileNetV2 and ShuffleNets: lr 0.01.
max_epochs = 240
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='SGD', lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True
    ),
)
param_scheduler = dict(
    type='MultiStepLR', milestones=[150, 180, 210], gamma=0.1, by_epoch=True
)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
val_cfg = dict()
test_cfg = dict()
