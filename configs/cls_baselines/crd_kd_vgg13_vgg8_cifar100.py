# CRD and KD: VGG-13 teaches VGG-8.
_base_ = 'crd_vgg13_vgg8_cifar100.py'
model = dict(losses=dict(kd=_base_.kd))
