# DeepLabV3-R101 of CIRKDv2, its teacher: head of 512 channels.
_base_ = 'deeplabv3_r101_os8.py'
model = dict(decode_head=dict(channels=512))
