# SFP: in every layer the share pruning_rate of filters is zeroed after every
# epoch; as in its public code also before the first, which for networks from
# scratch is hard pruning of a random choice.
pruning = dict(
    type='mmkd.SoftFilterPruningHook',
    method='sfp',
    rate_schedule='constant',
    decay=None,
    mask_before_train=True,
)
