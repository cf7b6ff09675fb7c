# 80k iterations with 8 images each and lr 0.01: the Cityscapes teacher.
_base_ = 'sgd_poly_40k.py'
max_iters = 80000
optim_wrapper = dict(optimizer=dict(lr=0.01))
param_scheduler = [
    dict(
        type='PolyLR',
        power=0.9,
        eta_min=0.0,
        begin=0,
        end=max_iters,
        by_epoch=False,
    )
]
train_cfg = dict(max_iters=max_iters)
auto_scale_lr = dict(base_batch_size=8)
