# The same, from mmpretrain's weights, at a tenth of the learning rate.
_base_ = 'asrfp_resnet34_p40_imagenet.py'
load_from = (
    'https://download.openmmlab.com/mmclassification/v0/resnet/'
    'resnet34_8xb32_in1k_20210831-f257d4e6.pth'
)
optim_wrapper = dict(optimizer=dict(lr=0.01))
