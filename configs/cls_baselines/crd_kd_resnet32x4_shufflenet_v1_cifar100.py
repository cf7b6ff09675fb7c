# CRD and KD: ResNet-32x4 teaches ShuffleNetV1.
_base_ = 'crd_resnet32x4_shufflenet_v1_cifar100.py'
model = dict(losses=dict(kd=_base_.kd))
