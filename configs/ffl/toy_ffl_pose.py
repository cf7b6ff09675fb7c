# FFL of two pose networks on synthetic stick figures, our extension: the maps
# before the last layers are fused, heat maps teach heat maps.
_base_ = '../hsjp/toy_scratch.py'
model = dict(
    _delete_=True,
    type='mmkd.OnlineDistiller',
    cohort=dict(
        type='mmkd.Cohort',
        peers=[_base_.model] * 2,
        shared=['stem', 'stage1', 'stage2'],
    ),
    taps=dict(feats='head.final_layer:input', logits='head.final_layer'),
    exchange=dict(
        type='mmkd.FeatureFusionExchange',
        on=dict(feats='feats', logits='logits'),
        ramp_epochs=0,  # iterations are counted here, not epochs
        transfer_loss=dict(type='mmkd.PixelwiseKLLoss'),
    ),
    deploy=0,
)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
