# MoCo on ImageNet: 200 epochs, batch 256 in total, lr x 0.1 after 120 and 160.
max_epochs = 200
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.03, momentum=0.9, weight_decay=1e-4),
)
param_scheduler = dict(
    type='MultiStepLR', milestones=[120, 160], gamma=0.1, by_epoch=True
)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs)
