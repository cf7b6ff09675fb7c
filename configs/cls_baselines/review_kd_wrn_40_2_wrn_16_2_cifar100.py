# ReviewKD: WRN-40-2 teaches WRN-16-2.
_base_ = [
    '../_base_/pairs/wrn_40_2_wrn_16_2.py',
    '../_base_/methods/review_kd.py',
]
model = dict(
    taps=dict(
        review=dict(
            student=[
                'backbone.layer{1,2,3}',
                'neck',
            ],
            teacher=[
                'backbone.layer2.0.bn1',
                'backbone.layer3.0.bn1',
                'backbone.bn_last',
                'neck',
            ],
        ),
    ),
    losses=dict(
        review=dict(
            fusion=dict(
                type='mmkd.ReviewFusion',
                student_channels=[32, 64, 128, 128],
                teacher_channels=[32, 64, 128, 128],
            ),
            **_base_.loss,
        ),
    ),
)
