# SRFP on ImageNet: the factor is 0 earlier.
_base_ = 'srfp.py'
pruning = dict(decay=dict(zero_from=0.8))
