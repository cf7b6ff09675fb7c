# MCL on MoCo (v1), two encoders: narrow ResNet-18s, 200 epochs.
_base_ = [
    '../_base_/datasets/imagenette_views_64.py',
    '../_base_/models/encoder_resnet18_narrow.py',
    '../_base_/methods/mcl_moco.py',
    '../_base_/schedules/cpu_moco_200e.py',
    '../_base_/ssl_runtime.py',
]
method = _base_.method
method.followers.key.momentum = 0.99
method.exchange.loss.queue_size = 512
method.input_shape = (3, 64, 64)
model = dict(
    _delete_=True,
    cohort=dict(type='mmkd.Cohort', peers=[_base_.model] * 2),
    **method,
)
default_hooks = dict(logger=dict(interval=15))
