# Two narrow hourglasses on 1000 people of Leeds Sports Pose Extended.
_base_ = [
    '../_base_/datasets/lspet_128x96.py',
    '../_base_/models/pose_hourglass_narrow.py',
    '../_base_/schedules/cpu_pose_300.py',
    '../_base_/pose_runtime.py',
]
model = dict(backbone=dict(feat_channels=16), head=dict(decoder=_base_.codec))
train_dataloader = dict(batch_size=16)
