# What distillation without labels is worth: the distilled backbone and random
# weights, each trained with 1, 10 and 100 % of Imagenette's labels (1, 10 and
# 100 images of each class, the same for all seeds).
tune = 'cpu_tune_resnet18_imagenette.py'
backbone = dict(
    init_cfg=dict(
        type='Pretrained',
        checkpoint='stage:distill/student.pth',
        prefix='backbone.',
    )
)
distilled = dict(config=tune, model=dict(backbone=backbone))
scratch = dict(config=tune)
one_percent = dict(
    train_dataloader=dict(
        batch_size=10, dataset=dict(indices=list(range(0, 1000, 100)))
    ),
    train_cfg=dict(max_iters=60, val_interval=60),
    param_scheduler=dict(T_max=60),
    default_hooks=dict(checkpoint=dict(interval=60)),
)
ten_percent = dict(
    train_dataloader=dict(
        batch_size=50, dataset=dict(indices=list(range(0, 1000, 10)))
    ),
    train_cfg=dict(max_iters=80, val_interval=80),
    param_scheduler=dict(T_max=80),
    default_hooks=dict(checkpoint=dict(interval=80)),
)
stages = [
    dict(name='distill', config='cpu_distill_lite0_resnet18_unlabelled.py'),
    dict(name='distilled_1', **distilled, **one_percent),
    dict(name='scratch_1', **scratch, **one_percent),
    dict(name='distilled_10', **distilled, **ten_percent),
    dict(name='scratch_10', **scratch, **ten_percent),
    dict(name='distilled_100', **distilled),
    dict(name='scratch_100', **scratch),
]
