# FFL as in the authors' code: all but the last stage is shared; the fusion
# head has a tenth of the weight decay. `paramwise` goes into optim_wrapper.
cohort = dict(type='mmkd.Cohort', shared=['stem', 'stage1', 'stage2'])
method = dict(
    type='mmkd.OnlineDistiller',
    taps=dict(feats='backbone', logits='head.fc'),
    exchange=dict(
        type='mmkd.FeatureFusionExchange',
        on=dict(feats='feats', logits='logits'),
        temperature=3.0,
        ramp_epochs=80,
        target_epsilon=1e-7,
        fusion=dict(type='mmkd.FeatureFusionHead'),
    ),
    deploy=0,
    input_shape=(3, 32, 32),
)
paramwise = dict(
    custom_keys={'exchanges.0.fusion': dict(decay_mult=0.1)},
    bypass_duplicate=True,  # shared modules have several names
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
