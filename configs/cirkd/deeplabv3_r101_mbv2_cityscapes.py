# CIRKD as published: DeepLabV3-R101 teaches DeepLabV3-MobileNetV2.
_base_ = 'deeplabv3_r101_r18_cityscapes.py'
model = dict(student='mmkd::cirkd/baseline_deeplabv3_mbv2_cityscapes.py')
