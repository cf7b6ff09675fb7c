# CRD and KD: ResNet-50 teaches MobileNetV2.
_base_ = 'crd_resnet50_mobilenet_v2_cifar100.py'
model = dict(losses=dict(kd=_base_.kd))
