# ASRFP: ASFP's growing share with SRFP's falling factor.
pruning = dict(
    type='mmkd.SoftFilterPruningHook',
    method='asrfp',
    rate_schedule=dict(type='exponential', D=1 / 8, y=0.75, clamp_from=0.95),
    decay=dict(alpha0=1.0, sigma=1e-5, zero_from=0.9),
)
