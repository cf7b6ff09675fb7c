# VGG-16 of MCL-OKD: max pooling behind all five blocks. (PCL puts three linear
# layers behind it.)
_base_ = 'vgg16.py'
model = dict(backbone=dict(num_pools=5))
