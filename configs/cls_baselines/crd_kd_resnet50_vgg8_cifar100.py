# CRD and KD: ResNet-50 teaches VGG-8.
_base_ = 'crd_resnet50_vgg8_cifar100.py'
model = dict(losses=dict(kd=_base_.kd))
