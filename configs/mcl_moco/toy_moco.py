# MoCo (v1), one encoder, on synthetic scenes: no data needed.
_base_ = [
    '../_base_/datasets/toy_views.py',
    '../_base_/models/encoder_resnet18_narrow.py',
    '../_base_/methods/moco.py',
    '../_base_/schedules/toy_moco_10e.py',
    '../_base_/ssl_runtime.py',
]
method = _base_.method
method.teacher.momentum = 0.99
method.losses.moco.queue_size = 512
method.input_shape = (3, 32, 32)
model = dict(_delete_=True, student=_base_.model, **method)
