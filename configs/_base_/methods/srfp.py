# SRFP: a constant share of filters is damped, by a factor that falls from 1
# exponentially and is 0 from 0.9 T on.
pruning = dict(
    type='mmkd.SoftFilterPruningHook',
    method='srfp',
    rate_schedule='constant',
    decay=dict(alpha0=1.0, sigma=1e-5, zero_from=0.9),
)
