# PKT: ResNet-50 teaches VGG-8.
_base_ = [
    '../_base_/pairs/resnet50_vgg8.py',
    '../_base_/methods/pkt.py',
]
model = dict(losses=dict(pkt=_base_.loss))
