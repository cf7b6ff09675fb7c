# CIRKDv2 with a weight of 10 on the features.
_base_ = 'cirkd_v2.py'
method = dict(losses=dict(fitnet=dict(loss_weight=10.0)))
