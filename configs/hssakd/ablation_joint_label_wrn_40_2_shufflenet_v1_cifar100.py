# Ablation: HSAKD*, and the student's branches learn the joint labels too.
_base_ = 'hsakd_joint_wrn_40_2_shufflenet_v1_cifar100.py'
model = dict(
    losses=dict(joint=dict(type='mmkd.JointLabelLoss', on='joint')),
)
