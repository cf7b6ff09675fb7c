# DeepLabV3-R18 of CIRKDv2: head of 512 channels.
_base_ = 'deeplabv3_r18_os8.py'
model = dict(decode_head=dict(channels=512))
