# SKD: similarities of pixels, and a discriminator of logits.
_base_ = 'seg_adversarial.py'
losses = dict(
    pairwise=dict(
        type='mmkd.PairwiseSimilarityLoss',
        on='feats',
        pool_kernel=2,
        loss_weight=10.0,
    )
)
