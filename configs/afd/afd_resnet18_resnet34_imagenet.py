# AFD, ResNet-18 and ResNet-34. The recipe is recalled: batch 256, lr x 0.1
# every 30 epochs; the feature phase drops at the same shares of the training
# as on CIFAR-100.
_base_ = [
    '../mcl/baseline_resnet18_imagenet.py',
    '../_base_/methods/afd.py',
]
second = dict(config='mmkd::mcl/baseline_resnet34_imagenet.py')
model = dict(
    _delete_=True,
    cohort=dict(peers=[_base_.model, second], **_base_.cohort),
    **_base_.method,
)
model['input_shape'] = (3, 224, 224)
optim_wrapper = dict(_delete_=True, main=_base_.optim_wrapper, **_base_.phases)
param_scheduler = dict(
    _delete_=True, main=_base_.param_scheduler, **_base_.phase_schedules
)
for name in ('discriminator', 'adversarial'):
    param_scheduler[name]['milestones'] = [22, 45]
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
del name
