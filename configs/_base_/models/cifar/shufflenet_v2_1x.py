# ShuffleNetV2 1x with a 3x3 stem (MCL).
_base_ = 'resnet20.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmkd.CIFARShuffleNetV2',
        widen_factor=1.0,
        stem_kernel_size=3,
    ),
    head=dict(in_channels=1024),
)
