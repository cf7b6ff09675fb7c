# CIRKDv2 with 150 classes and more, and a weight of 10 on the features.
_base_ = 'cirkd_v2_large.py'
method = dict(losses=dict(fitnet=dict(loss_weight=10.0)))
