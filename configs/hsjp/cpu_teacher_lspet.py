# A narrow HRNet from scratch: the teacher of the distillation configs.
_base_ = [
    '../_base_/datasets/lspet_128x96.py',
    '../_base_/models/pose_hrnet_w12.py',
    '../_base_/schedules/cpu_pose_1500.py',
    '../_base_/pose_runtime.py',
]
model = dict(head=dict(decoder=_base_.codec))
