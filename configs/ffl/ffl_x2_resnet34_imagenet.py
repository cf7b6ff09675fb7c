# FFL, two sub-networks with private last stages: ResNet-34. The recipe is
# recalled: 90 epochs, batch 256, lr x 0.1 every 30 epochs.
_base_ = [
    '../mcl/baseline_resnet34_imagenet.py',
    '../_base_/methods/ffl.py',
]
model = dict(
    _delete_=True,
    cohort=dict(
        type='mmkd.Cohort',
        peers=[_base_.model] * 2,
        shared=['stem', 'stage1', 'stage2', 'stage3'],
    ),
    **_base_.method,
)
model['input_shape'] = (3, 224, 224)
optim_wrapper = dict(paramwise_cfg=_base_.paramwise)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
