# 80k iterations with 16 images each and lr 0.02: COCO-Stuff, and CIRKDv2.
_base_ = 'sgd_poly_80k.py'
optim_wrapper = dict(optimizer=dict(lr=0.02))
auto_scale_lr = dict(base_batch_size=16)
