# L-MCL, two separate networks, on the first 20 classes of CIFAR-100: batches
# of 16 classes with 4 images each, 6 epochs, bfloat16; the meta step, always
# in float32, at the published interval.
_base_ = ['cpu_baseline_resnet8_cifar100.py', '../_base_/methods/lmcl.py']
model = dict(
    _delete_=True,
    cohort=dict(peers=[_base_.model] * 2, **_base_.cohort),
    **_base_.method,
)
train_dataloader = dict(
    sampler=dict(
        _delete_=True,
        type='mmkd.ClassAwareSampler',
        batch_size=64,
        samples_per_class=4,
    )
)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
