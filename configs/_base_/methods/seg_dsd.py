# DSD: residuals of attention, similarities of classes; no pixel KD. `maps` is
# [auxiliary logits, features, logits], without the first for networks that
# have no auxiliary head.
losses = dict(
    psd=dict(
        type='mmkd.PixelSimilarityResidualLoss', on='maps', loss_weight=1000.0
    ),
    csd=dict(
        type='mmkd.CategorySimilarityLoss',
        on='logits',
        temperature=4.0,
        pool_kernel=2,
        loss_weight=10.0,
    ),
)
