# MCL, four branches, and the last one also learns from the mean of all logits:
# WRN-40-2.
_base_ = 'mcl_x4_wrn_40_2_cifar100.py'
model = dict(
    taps=dict(logits='head.fc'),
    exchange=[
        _base_.model.exchange,
        dict(
            type='mmkd.LogitEnsembleExchange',
            on='logits',
            targets='last',
            temperature=3.0,
        ),
    ],
    deploy=-1,
)
