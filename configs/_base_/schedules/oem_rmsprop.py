# OEM's paper for EfficientNets: RMSProp, lr 0.256, x 0.97 every 3 epochs.
# Weight decay and batch size are not given there. Epochs of CIFAR-10.
max_epochs = 350
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='RMSprop', lr=0.256, alpha=0.9, momentum=0.9, weight_decay=1e-4
    ),
)
param_scheduler = dict(type='StepLR', step_size=3, gamma=0.97, by_epoch=True)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
val_cfg = dict()
test_cfg = dict()
