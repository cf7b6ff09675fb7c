# FFL of two segmentation networks, our extension: the maps before the last
# layers are fused, every position is classified.
_base_ = '../cirkd/cpu_baseline_camvid.py'
model = dict(
    _delete_=True,
    type='mmkd.OnlineDistiller',
    cohort=dict(
        type='mmkd.Cohort',
        peers=[_base_.model] * 2,
        shared=['stem', 'stage1', 'stage2'],
    ),
    taps=dict(
        feats='decode_head.conv_seg:input', logits='decode_head.conv_seg'
    ),
    exchange=dict(
        type='mmkd.FeatureFusionExchange',
        on=dict(feats='feats', logits='logits'),
        temperature=3.0,
        ramp_epochs=0,  # iterations are counted here, not epochs
    ),
    deploy=0,
)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
