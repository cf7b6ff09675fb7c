# ASFP: the share of zeroed filters grows, P (1 - 4^(-8t/T)), P from 0.95 T on.
pruning = dict(
    type='mmkd.SoftFilterPruningHook',
    method='asfp',
    rate_schedule=dict(type='exponential', D=1 / 8, y=0.75, clamp_from=0.95),
    decay=None,
)
