# KDCL-Naive, ResNet-32 and WRN-16-2, an augmentation each.
_base_ = 'kdcl_linear_resnet32_wrn_16_2_cifar100.py'
model = dict(exchange=dict(target='naive'))
