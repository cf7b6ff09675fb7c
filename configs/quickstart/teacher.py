"""Teacher: the student's architecture with four times the channels."""

_base_ = './student.py'
model = dict(
    backbone=dict(stem_channels=32, base_channels=32),
    decode_head=dict(in_channels=256, channels=64),
)
