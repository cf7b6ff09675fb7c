# CRD and KD: WRN-40-2 teaches WRN-16-2.
_base_ = 'crd_wrn_40_2_wrn_16_2_cifar100.py'
model = dict(losses=dict(kd=_base_.kd))
