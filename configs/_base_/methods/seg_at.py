# AT: attention maps of the features in front of the classifier.
losses = dict(
    at=dict(
        type='mmkd.ATLoss', on='feats', p=2, pool=False, loss_weight=10000.0
    )
)
