# CWD: where each channel is active, of features and of logits.
_base_ = 'seg_adversarial.py'
losses = dict(
    cwd_feats=dict(
        type='mmkd.ChannelWiseDivergenceLoss',
        on='feats',
        temperature=4.0,
        student_channels='auto',
        teacher_channels='auto',
        loss_weight=50.0,
    ),
    cwd_logits=dict(
        type='mmkd.ChannelWiseDivergenceLoss',
        on='logits',
        temperature=4.0,
        loss_weight=3.0,
    ),
)
