# NST: VGG-13 teaches VGG-8.
_base_ = [
    '../_base_/pairs/vgg13_vgg8.py',
    '../_base_/methods/nst.py',
]
model = dict(losses=dict(nst=_base_.loss))
