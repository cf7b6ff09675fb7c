# CRD and KD: VGG-13 teaches MobileNetV2.
_base_ = 'crd_vgg13_mobilenet_v2_cifar100.py'
model = dict(losses=dict(kd=_base_.kd))
