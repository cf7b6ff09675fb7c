# AnchorNet's proposal network: 100 epochs, batch 256 in total, lr x 0.1 after
# 30, 60 and 90; weight decay on everything.
max_epochs = 100
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4, nesterov=True
    ),
)
param_scheduler = dict(
    type='MultiStepLR', milestones=[30, 60, 90], gamma=0.1, by_epoch=True
)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=256)
