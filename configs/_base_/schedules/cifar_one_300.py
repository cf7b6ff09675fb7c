# ONE's own code: 300 epochs, batch 128, plain momentum, weight decay 1e-4,
# lr x 0.1 after 151 and 225 (the paper says 150 and 225).
max_epochs = 300
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4),
)
param_scheduler = dict(
    type='MultiStepLR', milestones=[151, 225], gamma=0.1, by_epoch=True
)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
val_cfg = dict()
test_cfg = dict()
