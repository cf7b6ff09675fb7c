# ASRFP: up to 30 % of the filters of a trained ResNet-8.
_base_ = [
    '../cls_baselines/cpu_baseline_resnet8_25_cifar100.py',
    '../_base_/methods/asrfp.py',
]
optim_wrapper = dict(optimizer=dict(lr=0.02))
train_cfg = dict(max_epochs=4, val_interval=4)
param_scheduler = dict(T_max=4)
default_hooks = dict(
    pruning=dict(
        pruning_rate=0.3,
        by_epoch=False,
        interval=10,
        mask_bn=True,
        **_base_.pruning,
    ),
    checkpoint=dict(save_best=None),
)
