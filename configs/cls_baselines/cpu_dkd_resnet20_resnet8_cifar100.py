# DKD: ResNet-20 teaches ResNet-8. The warm-up is as short as the run.
_base_ = [
    '../_base_/pairs/cpu_resnet20_resnet8.py',
    '../_base_/methods/dkd.py',
]
dkd = _base_.loss
dkd.update(beta=2.0, warmup_epochs=2)
model = dict(losses=dict(dkd=dkd))
