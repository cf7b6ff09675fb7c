# DeepLabV3-MobileViT-XXS of CIRKDv2 (output stride 8, no auxiliary head). The
# ImageNet weights are mmpretrain's.
_base_ = 'deeplabv3_r18_os8.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmkd.DilatedMobileViT',
        arch='xx_small',
        dilations=(1, 1, 1, 2, 4),
        out_indices=(4,),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/'
            'mobilevit/mobilevit-xxsmall_3rdparty_in1k_20221018-77835605.pth',
            prefix='backbone',
        ),
    ),
    decode_head=dict(in_channels=320, in_index=0),
    auxiliary_head=None,
)
