# DeepLabV3 on CamVid at a third of its size, 100 steps from the backbone that
# cpu_dml_x2_imagenette.py exports, for one CPU core.
_base_ = '../cirkd/cpu_baseline_camvid.py'
preprocessor = dict(  # as the backbone has it
    mean=[123.675, 116.28, 103.53],  # RGB
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
)
data_preprocessor = preprocessor
model = dict(
    data_preprocessor=preprocessor,
    backbone=dict(
        type='ResNet',
        init_cfg=dict(
            type='Pretrained',
            prefix='backbone.',
            checkpoint='work_dirs/cpu_dml_x2_imagenette/student.pth',
        ),
    ),
)
max_iters = 100
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = max_iters
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
default_hooks = dict(
    logger=dict(interval=10), checkpoint=dict(interval=max_iters)
)
del preprocessor
