# MoCo v2 on ImageNet: the same with a cosine.
_base_ = 'imagenet_moco_200.py'
param_scheduler = dict(
    _delete_=True,
    type='CosineAnnealingLR',
    T_max=200,
    eta_min=0.0,
    by_epoch=True,
)
