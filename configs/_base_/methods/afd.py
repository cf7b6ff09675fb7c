# AFD: two or more separate networks. `phases` goes into optim_wrapper,
# `phase_schedules` into param_scheduler; `main` of both is what trains the
# networks alone.
cohort = dict(type='mmkd.Cohort')
method = dict(
    type='mmkd.OnlineDistiller',
    taps=dict(feats='backbone', logits='head.fc'),
    exchange=dict(
        type='mmkd.AdversarialFeatureExchange',
        on=dict(feats='feats', logits='logits'),
        topology='cycle',
        temperature=3.0,
        discriminator=dict(
            type='mmkd.FeatureMapDiscriminator', preset='score_map'
        ),
    ),
    deploy=0,
    input_shape=(3, 32, 32),
)
adam = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=2e-5, weight_decay=0.1),
)
phases = dict(
    constructor='mmkd.PhasedOptimWrapperConstructor',
    discriminator=adam,
    adversarial=adam,
)
drops = dict(
    type='MultiStepLR', milestones=[75, 150], gamma=0.1, by_epoch=True
)
phase_schedules = dict(discriminator=drops, adversarial=drops)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
del adam, drops
