# Two narrow, shallow hourglasses for one CPU core, 14 joints.
_base_ = 'pose_hourglass.py'
model = dict(
    backbone=dict(num_stacks=2, feat_channels=32, out_channels=14, depth=3),
    head=dict(num_stages=2, in_channels=14, out_channels=14),
)
