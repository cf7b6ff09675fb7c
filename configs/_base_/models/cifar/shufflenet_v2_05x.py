# ShuffleNetV2 0.5x with a 3x3 stem (MCL).
_base_ = 'shufflenet_v2_1x.py'
model = dict(backbone=dict(widen_factor=0.5))
