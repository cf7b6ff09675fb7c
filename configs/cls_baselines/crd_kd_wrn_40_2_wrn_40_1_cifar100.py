# CRD and KD: WRN-40-2 teaches WRN-40-1.
_base_ = 'crd_wrn_40_2_wrn_40_1_cifar100.py'
model = dict(losses=dict(kd=_base_.kd))
