# OKDHP as published: alpha 1, beta 2, a ramp over 90 epochs, nothing detached.
method = dict(
    type='mmkd.OnlineDistiller',
    taps=dict(feats='backbone.stem', maps='backbone'),
    exchange=dict(
        type='mmkd.HeatmapAggregationExchange',
        on=dict(feats='feats', maps='maps'),
        ens_weight=1.0,
        loss_weight=2.0,
        ramp_epochs=90,
        temperature=1.0,
        detach_target=False,
        ensemble_maps='last',
        aggregation=dict(
            mid_channels=64, kernel_sizes=(3, 5, 7), variant='sum'
        ),
    ),
    deploy=0,
)
