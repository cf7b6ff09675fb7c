# Ablation: task loss and joint logits only.
_base_ = 'hsakd_joint_wrn_40_2_shufflenet_v1_cifar100.py'
model = dict(losses=dict(kl_p=dict(loss_weight=0.0)))
