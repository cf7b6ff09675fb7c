# The adversarial part of SKD, IFVD and CWD. The discriminator has an
# optimizer of its own; logits smaller than 64x64 are enlarged for it.
losses = dict(
    adv=dict(
        type='mmkd.AdversarialLoss',
        on='logits',
        mode='hinge',
        generator_weight=0.001,
        discriminator_weight=0.1,
        discriminator=dict(
            type='mmkd.SelfAttentionDiscriminator', upsample_to=64
        ),
    )
)
discriminator = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=4e-4, betas=(0.9, 0.99)),
)
model_wrapper_cfg = dict(type='mmkd.PhasedDistributedDataParallel')
