# Ablation: HSAKD*, and the student's branches learn the joint labels too.
_base_ = 'hsakd_joint_wrn_40_2_wrn_16_2_cifar100.py'
model = dict(
    losses=dict(joint=dict(type='mmkd.JointLabelLoss', on='joint')),
)
