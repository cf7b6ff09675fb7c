# The network alone in MCL-OKD's code: batch 256 on one device, cosine over 100
# epochs, then a restart and 200 more.
max_epochs = 300
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4, nesterov=True
    ),
)
param_scheduler = dict(
    type='CosineRestartLR',
    periods=[100, 200],
    restart_weights=[1, 1],
    eta_min=0.0,
    by_epoch=True,
)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
val_cfg = dict()
test_cfg = dict()
