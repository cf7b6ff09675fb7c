# 80k iterations with 8 images each: AdamW, lr = 9e-4 (1 - t / 80000)^0.9. For
# MobileViT.
_base_ = 'sgd_poly_80k.py'
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=9e-4, weight_decay=0.01)
)
