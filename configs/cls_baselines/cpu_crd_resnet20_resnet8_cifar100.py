# CRD: ResNet-20 teaches ResNet-8. A quarter of the published negatives, as of
# the images.
_base_ = [
    '../_base_/pairs/cpu_resnet20_resnet8.py',
    '../_base_/methods/crd.py',
]
crd = _base_.loss
crd.update(num_samples=12500, num_negatives=4096)
model = dict(losses=dict(crd=crd))
custom_hooks = _base_.crd_hooks
