# ASRFP on ImageNet: share and factor are final earlier.
_base_ = 'asrfp.py'
pruning = dict(rate_schedule=dict(clamp_from=0.9), decay=dict(zero_from=0.8))
