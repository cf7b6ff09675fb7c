# ResNeXt-50, 32x4d, with a width for each stage.
_base_ = 'staged_resnet18.py'
model = dict(
    backbone=dict(type='mmkd.StagedResNeXt', depth=50),
    head=dict(in_channels=2048),
)
