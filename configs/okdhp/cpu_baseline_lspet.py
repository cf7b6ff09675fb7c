# Two narrow hourglasses on 1000 people of Leeds Sports Pose Extended. The
# targets are wider than usual, for a few epochs: on narrow ones the first
# hundreds of steps learn that most pixels are zero.
_base_ = [
    '../_base_/datasets/lspet_128x96.py',
    '../_base_/models/pose_hourglass_narrow.py',
    '../_base_/schedules/cpu_pose_1500.py',
    '../_base_/pose_runtime.py',
]
codec = dict(_base_.codec, sigma=2)
train_pipeline = _base_.train_pipeline
train_pipeline[5] = dict(type='GenerateTarget', encoder=codec)
model = dict(backbone=dict(feat_channels=24), head=dict(decoder=codec))
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(optimizer=dict(lr=0.002))
