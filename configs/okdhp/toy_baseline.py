# Two small hourglasses on synthetic stick figures: no data needed.
_base_ = [
    '../_base_/datasets/toy_pose.py',
    '../_base_/models/pose_hourglass_narrow.py',
    '../_base_/schedules/toy_pose_300.py',
    '../_base_/pose_runtime.py',
]
model = dict(head=dict(decoder=_base_.codec))
