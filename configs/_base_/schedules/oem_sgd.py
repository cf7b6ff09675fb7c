# OEM as its paper has it: Nesterov, lr 0.1, x 0.1 at half and three quarters.
# Batch size and weight decay are not given there; these are the code's. The
# epochs are those of CIFAR-10.
max_epochs = 350
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4, nesterov=True
    ),
)
param_scheduler = dict(
    type='MultiStepLR', milestones=[175, 262], gamma=0.1, by_epoch=True
)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
val_cfg = dict()
test_cfg = dict()
