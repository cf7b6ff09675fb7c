# 160k iterations with 8 images each: AdamW, lr = 2e-4 (1 - t / 160000)^0.9,
# one group of parameters. For SegFormer.
_base_ = 'sgd_poly_40k.py'
max_iters = 160000
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=2e-4, weight_decay=1e-4)
)
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
