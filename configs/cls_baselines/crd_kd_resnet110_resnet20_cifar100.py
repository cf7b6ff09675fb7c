# CRD and KD: ResNet-110 teaches ResNet-20.
_base_ = 'crd_resnet110_resnet20_cifar100.py'
model = dict(losses=dict(kd=_base_.kd))
