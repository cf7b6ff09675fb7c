# MobileNetV2, half the width, stem of stride 1 (HSAKD).
_base_ = 'mobilenet_v2_half.py'
model = dict(backbone=dict(stem_stride=1))
