# MCL on MoCo (v1), two encoders, on synthetic scenes: no data needed.
_base_ = [
    '../_base_/datasets/toy_views.py',
    '../_base_/models/encoder_resnet18_narrow.py',
    '../_base_/methods/mcl_moco.py',
    '../_base_/schedules/toy_moco_10e.py',
    '../_base_/ssl_runtime.py',
]
method = _base_.method
method.followers.key.momentum = 0.99
method.exchange.loss.queue_size = 512
method.input_shape = (3, 32, 32)
model = dict(
    _delete_=True,
    cohort=dict(type='mmkd.Cohort', peers=[_base_.model] * 2),
    **method,
)
