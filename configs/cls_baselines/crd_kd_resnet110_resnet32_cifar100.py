# CRD and KD: ResNet-110 teaches ResNet-32.
_base_ = 'crd_resnet110_resnet32_cifar100.py'
model = dict(losses=dict(kd=_base_.kd))
