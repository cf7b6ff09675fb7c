# ResNet-56 alone, parameter-free shortcuts and initial weights as in SFP.
_base_ = [
    '../_base_/datasets/cifar100.py',
    '../_base_/models/cifar/resnet56.py',
    '../_base_/schedules/cifar_sfp_200.py',
    '../_base_/cls_runtime.py',
]
model = dict(
    backbone=dict(shortcut='pad'),
    head=dict(
        init_cfg=dict(
            _delete_=True, type='Kaiming', layer='Linear', mode='fan_in'
        ),
    ),
)
