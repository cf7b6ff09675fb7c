# The small pose network from scratch, all 1000 people.
_base_ = [
    '../_base_/datasets/lspet_128x96.py',
    '../_base_/models/pose_r18_narrow.py',
    '../_base_/schedules/cpu_pose_1500.py',
    '../_base_/pose_runtime.py',
]
model = dict(head=dict(decoder=_base_.codec))
