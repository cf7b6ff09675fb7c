# The same, and the last branch also learns from the mean of all logits. The
# authors' ImageNet script lets gradient through the mean: detach_target=False
# does that; here it is stopped as in their CIFAR script.
_base_ = 'mcl_x4_resnet18_imagenet.py'
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
