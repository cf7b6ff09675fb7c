# The same, from mmpretrain's weights, at a tenth of the learning rate.
_base_ = 'ghfp_resnet50_p30_imagenet.py'
load_from = (
    'https://download.openmmlab.com/mmclassification/v0/resnet/'
    'resnet50_8xb32_in1k_20210831-ea4938fc.pth'
)
optim_wrapper = dict(optimizer=dict(lr=0.01))
