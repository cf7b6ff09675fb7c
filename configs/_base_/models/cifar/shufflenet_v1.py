# ShuffleNetV1, three groups.
_base_ = 'resnet20.py'
model = dict(
    backbone=dict(_delete_=True, type='mmkd.CIFARShuffleNetV1'),
    head=dict(in_channels=960),
)
