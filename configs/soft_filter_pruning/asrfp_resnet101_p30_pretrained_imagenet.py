# The same, from mmpretrain's weights, at a tenth of the learning rate.
_base_ = 'asrfp_resnet101_p30_imagenet.py'
load_from = (
    'https://download.openmmlab.com/mmclassification/v0/resnet/'
    'resnet101_8xb32_in1k_20210831-539c63f8.pth'
)
optim_wrapper = dict(optimizer=dict(lr=0.01))
