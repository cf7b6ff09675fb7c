# ASRFP on synthetic scenes: up to 30 % of the filters of a trained ResNet-8.
_base_ = [
    '../mcl/toy_baseline.py',
    '../_base_/methods/asrfp.py',
]
train_dataloader = dict(dataset=dict(num_samples=700))
train_cfg = dict(max_epochs=4)
optim_wrapper = dict(optimizer=dict(lr=0.02))
param_scheduler = dict(T_max=4)
default_hooks = dict(
    pruning=dict(
        pruning_rate=0.3,
        by_epoch=False,
        interval=5,
        mask_bn=True,
        **_base_.pruning,
    ),
)
