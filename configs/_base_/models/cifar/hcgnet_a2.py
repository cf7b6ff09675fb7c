# HCGNet-A2: growth 24-36-64.
_base_ = 'hcgnet_a1.py'
model = dict(backbone=dict(arch='A2'), head=dict(in_channels=716))
