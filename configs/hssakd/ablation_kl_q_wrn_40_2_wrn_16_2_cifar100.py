# Ablation: task loss and joint logits only.
_base_ = 'hsakd_joint_wrn_40_2_wrn_16_2_cifar100.py'
model = dict(losses=dict(kl_p=dict(loss_weight=0.0)))
