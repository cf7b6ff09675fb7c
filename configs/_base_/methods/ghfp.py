# GHFP: of the zeroed filters, ASFP's growing share, the part
# 1 - (1 - (t+1)/T)^3 may not recover.
pruning = dict(
    type='mmkd.SoftFilterPruningHook',
    method='ghfp',
    rate_schedule=dict(type='exponential', D=1 / 8, y=0.75, clamp_from=0.95),
    decay=None,
    hard_ratio='cubic',
)
