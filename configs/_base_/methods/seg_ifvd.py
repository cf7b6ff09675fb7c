# IFVD: variation of features inside their class.
_base_ = 'seg_adversarial.py'
losses = dict(
    ifvd=dict(
        type='mmkd.IntraClassFeatureVariationLoss',
        on='feats',
        ignore_index=255,
        loss_weight=20.0,
    )
)
