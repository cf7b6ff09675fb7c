# Plain mean of the logits, T = 4, half of each loss: what the third-party code
# does that the schedule is from.
_base_ = 'kdcl_linear_resnet32_wrn_16_2_cifar100.py'
model = dict(
    exchange=dict(
        target='mean',
        loss_weight=0.5,
        transfer_loss=dict(type='mmkd.KLDivLoss', temperature=4.0),
    ),
    task_weight=0.5,
)
