# MoCo (v1), one encoder: a narrow ResNet-18, 200 epochs.
_base_ = [
    '../_base_/datasets/imagenette_views_64.py',
    '../_base_/models/encoder_resnet18_narrow.py',
    '../_base_/methods/moco.py',
    '../_base_/schedules/cpu_moco_200e.py',
    '../_base_/ssl_runtime.py',
]
method = _base_.method
method.teacher.momentum = 0.99
method.losses.moco.queue_size = 512
method.input_shape = (3, 64, 64)
model = dict(_delete_=True, student=_base_.model, **method)
default_hooks = dict(logger=dict(interval=15))
