# GHFP on ImageNet: the share is final earlier.
_base_ = 'ghfp.py'
pruning = dict(rate_schedule=dict(clamp_from=0.9))
