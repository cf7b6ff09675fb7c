# CRD and KD: ResNet-32x4 teaches ResNet-8x4.
_base_ = 'crd_resnet32x4_resnet8x4_cifar100.py'
model = dict(losses=dict(kd=_base_.kd))
