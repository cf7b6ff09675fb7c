# CRD and KD: WRN-40-2 teaches ShuffleNetV1.
_base_ = 'crd_wrn_40_2_shufflenet_v1_cifar100.py'
model = dict(losses=dict(kd=_base_.kd))
