# ShuffleNetV2 1x with a 1x1 stem (CRD, HSAKD).
_base_ = 'shufflenet_v2_1x.py'
model = dict(backbone=dict(stem_kernel_size=1))
