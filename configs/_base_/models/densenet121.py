# DenseNet-121.
_base_ = 'staged_resnet18.py'
model = dict(
    backbone=dict(_delete_=True, type='DenseNet', arch='121'),
    head=dict(in_channels=1024),
)
