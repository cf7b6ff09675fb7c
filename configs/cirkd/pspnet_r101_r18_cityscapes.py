# CIRKD as published, student PSPNet-R18. "r101" is the paper's teacher,
# DeepLabV3-R101: there is no PSPNet-R101 in the published tables.
_base_ = 'deeplabv3_r101_r18_cityscapes.py'
model = dict(student='mmkd::cirkd/baseline_pspnet_r18_cityscapes.py')
