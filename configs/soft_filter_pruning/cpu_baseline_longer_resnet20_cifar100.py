# The trained network, trained on unpruned: 400 iterations, like all pruned
# ones, whose settings these are. PRUNING_START names another start.
_base_ = 'cpu_baseline_resnet20_cifar100.py'
load_from = (
    '{{$PRUNING_START:work_dirs/cpu_baseline_resnet20_cifar100/epoch_10.pth}}'
)
train_dataloader = dict(sampler=dict(type='InfiniteSampler'))
optim_wrapper = dict(optimizer=dict(lr=0.02))
param_scheduler = dict(T_max=400, by_epoch=False)
train_cfg = dict(
    _delete_=True, by_epoch=False, max_iters=400, val_interval=400
)
log_processor = dict(by_epoch=False)
default_hooks = dict(
    filter_norms=dict(by_epoch=False, interval=40),
    checkpoint=dict(by_epoch=False, interval=400),
    logger=dict(log_metric_by_epoch=False),
)
