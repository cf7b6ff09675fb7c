# Stage 2 on synthetic scenes: whole images, shrunk to 31 pixels.
_base_ = 'toy_full.py'
model = dict(type='mmkd.ResizedClassifier', input_size=31)
